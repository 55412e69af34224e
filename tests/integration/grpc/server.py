"""A gRPC server of bytes: every kind of call, and calls that wait to be ended. Prints its port."""

import sys
import threading
from concurrent import futures

import grpc

# By the name of a call that waits: when it began, and when it ended.
begun, ended = {}, {}
lock = threading.Lock()


def mark(marks, name):
    with lock:
        return marks.setdefault(name, threading.Event())


def dress(context):
    asked = dict(context.invocation_metadata())
    context.send_initial_metadata((("x-initial", asked.get("x-asked", "nothing")),))
    context.set_trailing_metadata((("x-trailing", "kept"), ("x-raw-bin", b"\x00\xff\n")))


def unary(request, context):
    dress(context)
    return b"unary " + request


def stream(request, context):
    dress(context)
    for number in range(int(request)):
        yield b"%d" % number


def collect(requests, context):
    dress(context)
    return b",".join(requests)


def chat(requests, context):
    dress(context)
    for request in requests:
        yield b"re " + request


def fail(request, context):
    context.set_trailing_metadata((("x-trailing", "kept"),))
    context.abort(grpc.StatusCode.NOT_FOUND, "non c'è: 100%\n" + request.decode())


def fail_late(request, context):
    yield b"one"
    yield b"two"
    context.abort(grpc.StatusCode.DATA_LOSS, "after two")


def wait(request, context):
    """Says first how much time it has, if it is a stream; then works until somebody ends the call."""
    over = mark(ended, request)
    context.add_callback(over.set)
    mark(begun, request).set()
    left = context.time_remaining()
    # No deadline is one in the far future.
    yield b"" if left is None or left > 1e6 else b"%f" % left
    over.wait()


def wait_silently(request, context):
    over = mark(ended, request)
    context.add_callback(over.set)
    mark(begun, request).set()
    over.wait()
    return b""


def has(marks):
    return lambda name, _: b"yes" if mark(marks, name).wait(20) else b"no"


METHODS = {
    "Unary": grpc.unary_unary_rpc_method_handler(unary),
    "Stream": grpc.unary_stream_rpc_method_handler(stream),
    "Collect": grpc.stream_unary_rpc_method_handler(collect),
    "Chat": grpc.stream_stream_rpc_method_handler(chat),
    "Fail": grpc.unary_unary_rpc_method_handler(fail),
    "FailLate": grpc.unary_stream_rpc_method_handler(fail_late),
    "Wait": grpc.unary_stream_rpc_method_handler(wait),
    "WaitSilently": grpc.unary_unary_rpc_method_handler(wait_silently),
    "HasBegun": grpc.unary_unary_rpc_method_handler(has(begun)),
    "HasEnded": grpc.unary_unary_rpc_method_handler(has(ended)),
}

server = grpc.server(futures.ThreadPoolExecutor(max_workers=40))
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Calls", METHODS),))
if len(sys.argv) > 1:
    key, certificate = (open(name, "rb").read() for name in sys.argv[1:3])
    credentials = grpc.ssl_server_credentials(((key, certificate),))
    port = server.add_secure_port("127.0.0.1:0", credentials)
else:
    port = server.add_insecure_port("127.0.0.1:0")
server.start()
print(port, flush=True)
server.wait_for_termination()
