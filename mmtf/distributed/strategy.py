"""Strategies of tf.distribute by name: one device, all GPUs of a host, many workers."""

import contextlib
import signal
import threading
import time
from collections.abc import Callable

import tensorflow as tf

from mmtf.config import DISTRIBUTIONS
from mmtf.distributed.clusters import Cluster
from mmtf.distributed.rendezvous import meet
from mmtf.errors import ConfigError, require_choice
from mmtf.runtime.devices import default_strategy

ASSEMBLY_SECONDS = 900.0
# After the rendezvous TensorFlow would wait an hour for a worker that has died since.
CONNECTION_SECONDS = 300


def make_strategy(
    distribution: str = "auto",
    cluster: Cluster | None = None,
    *,
    assembly_seconds: float = ASSEMBLY_SECONDS,
    say: Callable[[str], object] = print,
) -> tf.distribute.Strategy:
    """Makes a tf.distribute strategy; call it before any other operation of TensorFlow.

    Args:
      distribution: `auto`: all GPUs of this machine, or its CPU; `mirrored`: a MirroredStrategy of
        the GPUs of this machine, at least one; `multiworker`: all devices of all workers of
        `cluster`.
      cluster: the workers (`mmtf.distributed.clusters.find_cluster`), for `multiworker`.
      assembly_seconds: time limit for all workers to connect, in seconds.
      say: called with lines of text for the user.

    Raises:
      ConfigError: no GPU for `mirrored`, no cluster for `multiworker`, workers that do not connect
        in time, or TensorFlow already initialized.
    """
    require_choice("distribution", distribution, DISTRIBUTIONS)
    if distribution == "mirrored" and not tf.config.list_physical_devices("GPU"):
        raise ConfigError(
            "Expected a GPU for distribution='mirrored'. Received: none that TensorFlow sees."
        )
    if distribution == "mirrored":
        return tf.distribute.MirroredStrategy()
    if distribution == "auto":
        return default_strategy()
    if cluster is None:
        raise ConfigError("Expected a cluster for several workers. Received: None.")
    places = ", ".join(cluster.addresses)
    say(f"Worker {cluster.index} of {len(cluster.addresses)} waits for all of {places}.")
    meet(cluster, assembly_seconds)
    if threading.current_thread() is threading.main_thread():
        say(f"All are here and connect; in {CONNECTION_SECONDS} s at most, or this process ends.")
    with _default_signals():
        try:
            return tf.distribute.MultiWorkerMirroredStrategy(cluster.resolver())
        except RuntimeError as error:
            if "program startup" not in str(error):
                raise
            raise ConfigError(
                "Expected make_strategy before any other operation of TensorFlow. Received: a "
                "program that has begun already."
            ) from error
        except tf.errors.OpError as error:
            raise ConfigError(
                f"Expected workers at {places} that reach each other. "
                f"Received: {str(error).strip().splitlines()[0][:200]}."
            ) from error


@contextlib.contextmanager
def _default_signals():
    """Context manager: inside it, SIGINT and SIGTERM end the process at once.

    No Python handler runs while TensorFlow connects. An alarm ends the process after
    CONNECTION_SECONDS. On exit the previous handlers are restored, also that of SIGTERM, which
    TensorFlow replaces.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)
    handlers = {number: signal.signal(number, signal.SIG_DFL) for number in numbers}
    began, theirs = time.monotonic(), signal.alarm(CONNECTION_SECONDS)
    try:
        yield
    finally:
        # An alarm that the caller had set continues.
        signal.alarm(theirs and max(1, theirs - int(time.monotonic() - began)))
        for number, handler in handlers.items():
            signal.signal(number, handler)
