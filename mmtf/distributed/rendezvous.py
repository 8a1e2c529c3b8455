"""Rendezvous: all workers of a cluster connect to the chief before TensorFlow starts there.

TensorFlow itself would wait an hour for missing workers, without naming them. It would also hold
Python's global interpreter lock, so that no Python signal handler could run during the wait.
"""

import contextlib
import os
import socket
import time

from mmtf.distributed.clusters import Cluster
from mmtf.errors import ConfigError

GO = b"go"
POLL_SECONDS = 0.5
# After this time a worker reconnects, since the chief may have been restarted.
CALL_SECONDS = 30.0


def meet(cluster: Cluster, seconds: float) -> None:
    """Blocks until all workers of the cluster have called it.

    Args:
      cluster: the workers; the chief's port must be free on its machine.
      seconds: time limit of the wait, in seconds, > 0.

    Raises:
      ConfigError: the time limit was reached, the chief's port is in use, or its address is not
        of the form host:port.
    """
    deadline = time.monotonic() + seconds
    host, _, port = cluster.addresses[0].rpartition(":")
    if not host or not port.isdigit():
        raise ConfigError(f"Expected addresses host:port. Received: {cluster.addresses[0]!r}.")
    if cluster.index:
        _report(cluster, host.strip("[]"), int(port), deadline, seconds)
    else:
        _receive(cluster, int(port), deadline, seconds)


def _receive(cluster, port, deadline, seconds):
    """Runs on the chief: waits for a connection from each worker, then answers all of them."""
    calls: list[tuple[int, socket.socket]] = []
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(_listening(port))
        while True:
            missing = _missing(cluster, calls)
            if not missing:
                time.sleep(
                    POLL_SECONDS
                )  # a worker killed while connecting has disconnected by then
                calls = _present(calls)
                if not _missing(cluster, calls):
                    break
            elif time.monotonic() > deadline:
                names = ", ".join(f"{one} ({cluster.addresses[one]})" for one in missing)
                raise ConfigError(
                    f"Expected all {len(cluster.addresses)} workers within {seconds:.0f} s. "
                    f"Received: nothing from worker {names}."
                )
            with contextlib.suppress(OSError, ValueError):  # no connection, or another program
                caller = stack.enter_context(server.accept()[0])
                caller.settimeout(POLL_SECONDS)
                calls.append((int(caller.recv(16)), caller))
                caller.setblocking(False)
            calls = _present(calls)
        for _, caller in calls:
            with contextlib.suppress(OSError):  # just disconnected: TensorFlow reports it
                caller.sendall(GO)


def _missing(cluster, calls):
    """Indices of the workers, other than the chief, that have not connected."""
    return sorted(set(range(1, len(cluster.addresses))) - {index for index, _ in calls})


def _present(calls):
    return [(index, caller) for index, caller in calls if _holds_on(caller)]


def _holds_on(caller):
    """Whether an idle connection is still open on the other side."""
    try:
        return caller.recv(1) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


def _listening(port):
    both = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if both else socket.AF_INET
    try:
        server = socket.create_server(("", port), family=family, dualstack_ipv6=both)
    except OSError as error:
        raise ConfigError(
            f"Expected port {port}, the chief's, to be free on this machine. "
            f"Received: {os.strerror(error.errno or 0)}. "
            "Does another run use it, or another worker with index 0?"
        ) from error
    server.settimeout(POLL_SECONDS)
    return server


def _report(cluster, host, port, deadline, seconds):
    """Runs on the other workers: connects to the chief until it answers."""
    found = "no answer"
    while time.monotonic() < deadline:
        try:
            with socket.create_connection((host, port), timeout=CALL_SECONDS) as chief:
                chief.sendall(b"%d" % cluster.index)
                chief.settimeout(min(CALL_SECONDS, max(deadline - time.monotonic(), 0.1)))
                if chief.recv(len(GO)) == GO:
                    return
                found = "another program than a waiting chief"
        except OSError as error:
            found = error.strerror or str(error)
        time.sleep(POLL_SECONDS)
    raise ConfigError(
        f"Expected the chief, worker 0, at {cluster.addresses[0]} and all "
        f"{len(cluster.addresses)} workers within {seconds:.0f} s. Received: {found}."
    )
