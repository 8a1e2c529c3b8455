"""All workers of a cluster meet at the chief's address before TensorFlow starts there.

TensorFlow would wait for missing workers too, but for an hour, without naming them, and without
releasing Python's lock, so that no signal handler of Python runs meanwhile.
"""

import contextlib
import os
import socket
import time

from mmtf.distributed.clusters import Cluster
from mmtf.errors import ConfigError

GO = b"go"
POLL_SECONDS = 0.5
# Then a worker calls again: the chief may have been started anew meanwhile.
CALL_SECONDS = 30.0


def meet(cluster: Cluster, seconds: float) -> None:
    """Returns on every worker once all of them have called it.

    Args:
      cluster: the workers; the chief's port must be free on its machine.
      seconds: how long to wait, > 0.

    Raises:
      ConfigError: not all workers came in time, or the port is taken.
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
    """The chief's part: waits for a call from each, then answers all."""
    calls = []
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(_listening(port))
        while True:
            missing = _missing(cluster, calls)
            if not missing:
                time.sleep(POLL_SECONDS)  # one that was killed while it called has hung up by then
                calls = _present(calls)
                if not _missing(cluster, calls):
                    break
            elif time.monotonic() > deadline:
                names = ", ".join(f"{one} ({cluster.addresses[one]})" for one in missing)
                raise ConfigError(
                    f"Expected all {len(cluster.addresses)} workers within {seconds:.0f} s. "
                    f"Received: nothing from worker {names}."
                )
            with contextlib.suppress(OSError, ValueError):  # nobody, or a stranger
                caller = stack.enter_context(server.accept()[0])
                caller.settimeout(POLL_SECONDS)
                calls.append((int(caller.recv(16)), caller))
                caller.setblocking(False)
            calls = _present(calls)
        for _, caller in calls:
            with contextlib.suppress(OSError):  # gone just now: TensorFlow will say so
                caller.sendall(GO)


def _missing(cluster, calls):
    """Indices of the workers that have not called, the chief's own left out."""
    return sorted(set(range(1, len(cluster.addresses))) - {index for index, _ in calls})


def _present(calls):
    return [(index, caller) for index, caller in calls if _holds_on(caller)]


def _holds_on(caller):
    """Whether the other side of a silent call is still there."""
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
    """Another worker's part: calls the chief until it answers."""
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
