"""A gRPC client. `client.py TARGET PLAY [CA]` makes the calls of a play and checks what comes back."""

import queue
import sys
from concurrent import futures

import grpc

target, play = sys.argv[1:3]
# Longest time for what must come.
PATIENCE = 20


def channel():
    # Each has connections of its own, rather than those of another channel to the same place.
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0)]
    if len(sys.argv) > 3:
        trust = grpc.ssl_channel_credentials(open(sys.argv[3], "rb").read())
        return grpc.secure_channel(target, trust, options)
    return grpc.insecure_channel(target, options)


calls = channel()


def unary(name, request, **options):
    options.setdefault("timeout", PATIENCE)
    return calls.unary_unary("/test.Calls/" + name).with_call(request, **options)


def stream(name, request, **options):
    options.setdefault("timeout", PATIENCE)
    return calls.unary_stream("/test.Calls/" + name)(request, **options)


def is_dressed(call, asked="nothing"):
    first, last = dict(call.initial_metadata()), dict(call.trailing_metadata())
    assert first["x-initial"] == asked, first
    assert (last["x-trailing"], last["x-raw-bin"]) == ("kept", b"\x00\xff\n"), last
    assert call.code() == grpc.StatusCode.OK, call.code()


def fails(code, act):
    try:
        act()
    except grpc.RpcError as error:
        assert error.code() == code, error
        return error
    raise AssertionError("it did not fail with %s" % code)


def kinds():
    answer, call = unary("Unary", b"a", metadata=(("x-asked", "b c"),))
    assert answer == b"unary a", answer
    is_dressed(call, "b c")
    assert unary("Unary", b"")[0] == b"unary "
    call = stream("Stream", b"1000")
    assert list(call) == [b"%d" % number for number in range(1000)]
    is_dressed(call)
    call = stream("Stream", b"0")
    assert list(call) == []
    is_dressed(call)
    answer, call = calls.stream_unary("/test.Calls/Collect").with_call(
        iter([b"%d" % number for number in range(1000)]), timeout=PATIENCE
    )
    assert answer == b",".join(b"%d" % number for number in range(1000))
    is_dressed(call)
    # Each message is sent when the answer to the one before is here.
    told = queue.Queue()
    call = calls.stream_stream("/test.Calls/Chat")(iter(told.get, None), timeout=PATIENCE)
    for number in range(100):
        told.put(b"%d" % number)
        assert next(call) == b"re %d" % number
    told.put(None)
    assert list(call) == []
    is_dressed(call)
    # Beyond every window on the way, in both directions.
    large = bytes(range(256)) * 12_000
    assert unary("Unary", large)[0] == b"unary " + large
    answers = calls.stream_stream("/test.Calls/Chat")(iter([large] * 3), timeout=PATIENCE)
    assert list(answers) == [b"re " + large] * 3
    with futures.ThreadPoolExecutor(30) as many:
        asked = [b"%d" % number for number in range(300)]
        answers = many.map(lambda name: unary("Unary", name)[0], asked)
        assert list(answers) == [b"unary " + name for name in asked]


def errors():
    error = fails(grpc.StatusCode.NOT_FOUND, lambda: unary("Fail", b"x"))
    assert error.details() == "non c'è: 100%\nx", error.details()
    assert dict(error.trailing_metadata())["x-trailing"] == "kept"
    call, heard = stream("FailLate", b""), []
    error = fails(grpc.StatusCode.DATA_LOSS, lambda: heard.extend(call))
    assert (heard, error.details()) == ([b"one", b"two"], "after two")
    fails(grpc.StatusCode.UNIMPLEMENTED, lambda: unary("NoSuchMethod", b""))


def ends():
    # A deadline, before the head of the answer and after it.
    error = fails(grpc.StatusCode.DEADLINE_EXCEEDED, lambda: unary("WaitSilently", b"late 1", timeout=1))
    call = stream("Wait", b"late 2", timeout=3)
    assert 0 <= float(next(call)) < 4, "the server knows the deadline"
    fails(grpc.StatusCode.DEADLINE_EXCEEDED, lambda: next(call))
    # Given up, before the head of the answer and after it. Without a deadline only word of it can end
    # the call at the server.
    call = calls.unary_unary("/test.Calls/WaitSilently").future(b"left 1")
    assert unary("HasBegun", b"left 1")[0] == b"yes"
    call.cancel()
    call = calls.unary_stream("/test.Calls/Wait")(b"left 2")
    assert next(call) == b""
    call.cancel()
    # A whole connection.
    other = channel()
    call = other.unary_stream("/test.Calls/Wait")(b"left 3")
    assert next(call) == b""
    other.close()
    for name in [b"late 1", b"late 2", b"left 1", b"left 2", b"left 3"]:
        assert unary("HasEnded", name)[0] == b"yes", name
    assert unary("Unary", b"a")[0] == b"unary a"


def refused():
    assert unary("Unary", b"a")[0] == b"unary a"
    for act in (
        lambda: unary("Unary", b"a"),
        lambda: list(stream("Stream", b"1")),
        lambda: calls.stream_unary("/test.Calls/Collect")(iter([b"a"] * 100), timeout=PATIENCE),
        lambda: list(calls.stream_stream("/test.Calls/Chat")(iter([b"a"] * 100), timeout=PATIENCE)),
    ):
        error = fails(grpc.StatusCode.RESOURCE_EXHAUSTED, act)
        assert error.details() == "over_quota", error.details()


def unavailable():
    error = fails(grpc.StatusCode.UNAVAILABLE, lambda: unary("Unary", b"a"))
    assert error.details() == "upstream_down", error.details()


{"kinds": kinds, "errors": errors, "ends": ends, "refused": refused, "unavailable": unavailable}[play]()
calls.close()
print("all of it held")
