"""The numbers of a draw, from nothing but its statements: Python's standard library, and the words of the
Ethereum consensus specification (phase 0, compute_shuffled_index) and of RFC 6962. Shares no code with
Tornello. Signatures are not checked here.

numbers.py FILE           checks root and numbers of a draw, prints how many tickets are right
numbers.py SEED COUNT     prints where each of COUNT stands
"""

import hashlib
import json
import sys

SHUFFLE_ROUND_COUNT = 90


def sha256(data):
    return hashlib.sha256(data).digest()


def compute_shuffled_index(index, index_count, seed):
    for current_round in range(SHUFFLE_ROUND_COUNT):
        pivot = int.from_bytes(sha256(seed + bytes([current_round]))[0:8], "little") % index_count
        flip = (pivot + index_count - index) % index_count
        position = max(index, flip)
        source = sha256(seed + bytes([current_round]) + (position // 256).to_bytes(4, "little"))
        byte = source[(position % 256) // 8]
        bit = (byte >> (position % 8)) % 2
        index = flip if bit else index
    return index


def merkle_root(leaves):
    if len(leaves) < 2:
        return sha256(b"\x00" + leaves[0]) if leaves else sha256(b"")
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return sha256(b"\x01" + merkle_root(leaves[:split]) + merkle_root(leaves[split:]))


def check(path):
    rules, commitment, randomness, *tickets = open(path, encoding="utf-8").read().splitlines()
    body = rules[len('{"rules":') : rules.rindex(',"key":"')]
    committed = json.loads(commitment)["commitment"]
    tickets = [json.loads(ticket) for ticket in tickets]
    leaves = [bytes.fromhex(ticket["leaf"]) for ticket in tickets]
    root = merkle_root(leaves)
    assert committed["rules"] == sha256(body.encode()).hex(), "other rules"
    assert committed["count"] == len(leaves) and committed["root"] == root.hex(), "other tickets"
    source = json.loads(randomness)
    if "drand" in source:
        random = sha256(bytes.fromhex(source["drand"]["signature"]))
    else:
        secrets = {told["name"]: bytes.fromhex(told["secret"]) for told in source["reveals"]}
        parties = json.loads(body)["randomness"]["reveals"]["parties"]
        random = sha256(b"tornello-reveals-v1" + b"".join(secrets[party["name"]] for party in parties))
    count = len(leaves)
    seed = sha256(b"tornello-draw-v1" + sha256(body.encode()) + count.to_bytes(8, "little") + root + random)
    for index, ticket in enumerate(tickets):
        assert ticket["number"] == 1 + compute_shuffled_index(index, count, seed), f"ticket {index}"
    print(count)


if len(sys.argv) == 2:
    check(sys.argv[1])
else:
    seed, count = bytes.fromhex(sys.argv[1]), int(sys.argv[2])
    print(*(compute_shuffled_index(index, count, seed) for index in range(count)))
