"""Addresses of workers on this machine, for tests that start several processes."""

import contextlib
import json
import socket


def free_addresses(count):
    """host:port of ports that nobody listens on just now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("localhost", 0))
        return [f"localhost:{one.getsockname()[1]}" for one in sockets]


def environment(addresses, index):
    """TF_CONFIG of worker `index`."""
    task = {"type": "worker", "index": index}
    return {"TF_CONFIG": json.dumps({"cluster": {"worker": addresses}, "task": task})}
