"""Whether this agent's packages work on this device: `python -m partition_agent.self_test`.

Imports what the agent needs, encrypts and decrypts a message, and runs a network of one layer. Ends with status 0, or
says what failed.
"""

import base64
import importlib
import sys

#: y = x + x over two float32, IR version 8, opset 13: as `onnx.helper` writes it.
_NETWORK = base64.b64decode("CAg6NQoOCgF4CgF4EgF5IgNBZGQSAWdaDwoBeBIKCggIARIECgIIAmIPCgF5EgoKCAgBEgQKAggCQgQKABAN")


def main() -> int:
    """Run the test; returns the exit status."""
    try:
        _test_transport()
        _test_runtime()
        # What the agent itself imports with its first use.
        for part in ("agent", "deployments", "profiling.profiler", "link_probing.prober", "loading.optimise"):
            importlib.import_module(f"partition_agent.{part}")
    except Exception as error:
        # The border of the process: whatever it is, the person who installs must read it.
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return 1
    return 0


def _test_transport() -> None:
    import zmq

    if not zmq.has("curve"):
        raise RuntimeError("this build of ZeroMQ cannot encrypt (CURVE)")
    public, secret = zmq.curve_keypair()
    context = zmq.Context()
    try:
        server, client = context.socket(zmq.PULL), context.socket(zmq.PUSH)
        for sock in (server, client):
            sock.linger = 0
            sock.rcvtimeo = sock.sndtimeo = 10_000
        server.curve_server = True
        server.curve_secretkey = secret
        client.curve_serverkey = public
        client.curve_publickey, client.curve_secretkey = zmq.curve_keypair()
        port = server.bind_to_random_port("tcp://127.0.0.1")
        client.connect(f"tcp://127.0.0.1:{port}")
        client.send(b"hello")
        if server.recv() != b"hello":
            raise RuntimeError("a message was changed on its way")
    finally:
        context.destroy(linger=0)


def _test_runtime() -> None:
    import numpy as np
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(_NETWORK, options, providers=["CPUExecutionProvider"])
    answer = session.run(None, {"x": np.array([1.0, -2.5], np.float32)})[0]
    if answer.tolist() != [2.0, -5.0]:
        raise RuntimeError(f"the runtime computes {answer.tolist()} where [2.0, -5.0] is right")


if __name__ == "__main__":
    sys.exit(main())
