"""Whether a request comes from inside: the check of `Tornello-Pass`, for an upstream in Python."""

import base64
import hashlib
import hmac
import re
import sys
import time

FIELD = re.compile(r"(t=(\d+),r=([a-z0-9_-]+),n=(\d+),p=[\w-]{22}),s=([\w-]{43})")


def is_inside(field, key, room, now=None, leeway=60):
    """True if `field` was made with `key` for `room` within the last minute."""
    found = FIELD.fullmatch(field or "")
    if not found or found[3] != room:
        return False
    mac = hmac.new(key, b"tornello-pass-v1," + found[1].encode(), hashlib.sha256).digest()
    good = hmac.compare_digest(base64.urlsafe_b64encode(mac).rstrip(b"=").decode(), found[5])
    return good and abs((now or time.time()) - int(found[2])) <= leeway


if __name__ == "__main__":
    sys.exit(not is_inside(sys.argv[1], open(sys.argv[2], "rb").read().strip(), sys.argv[3]))
