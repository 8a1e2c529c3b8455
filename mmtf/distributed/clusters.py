"""The workers of a run and their addresses: from TF_CONFIG, Slurm or Kubernetes."""

import dataclasses
import json
import os
import time
import types

import tensorflow as tf

from mmtf.config import CLUSTERS
from mmtf.errors import ConfigError, require, require_choice

RESOLVERS = tf.distribute.cluster_resolver
PORT = 8888
PODS = "job-name=mmtf"
POD_SECONDS = 600.0
NAMESPACE_FILE = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"
EXAMPLE = (
    '{"cluster": {"worker": ["host0:8888", "host1:8888"]}, "task": {"type": "worker", "index": 0}}'
)


@dataclasses.dataclass(frozen=True)
class Cluster:
    """The workers of a run.

    Attributes:
      addresses: host:port of each worker, the chief's first.
      index: index of this process among them.
    """

    addresses: tuple[str, ...]
    index: int

    def resolver(self) -> tf.distribute.cluster_resolver.ClusterResolver:
        """The cluster resolver of this cluster for MultiWorkerMirroredStrategy."""
        # Physical devices: listing logical devices would initialize TensorFlow too early.
        gpus = len(tf.config.get_visible_devices("GPU"))
        return RESOLVERS.SimpleClusterResolver(
            tf.train.ClusterSpec({"worker": list(self.addresses)}),
            task_type="worker",
            task_id=self.index,
            num_accelerators={"GPU": gpus},
            rpc_layer="grpc",
        )


def find_cluster(
    name: str = "tf_config", *, workers: int = 0, pods: str = PODS, port: int = PORT
) -> Cluster:
    """Finds the cluster that this process belongs to.

    Args:
      name: where the workers are listed: `tf_config`, the environment variable TF_CONFIG; `slurm`,
        the environment variables of the Slurm step; `kubernetes`, the Kubernetes API server.
      workers: expected number of workers, >= 0; 0 accepts any number. `kubernetes` requires it and
        waits until that many pods run.
      pods: label selector of the workers' pods, for `kubernetes`.
      port: port of the workers, for `kubernetes`; for `slurm`, port of the first worker on each
        node.

    Raises:
      ConfigError: the workers cannot be found, or their number differs from `workers`.
    """
    require_choice("cluster", name, CLUSTERS)
    require(workers >= 0, "workers >= 0", workers)
    find = {"tf_config": _tf_config, "slurm": _slurm, "kubernetes": _kubernetes}[name]
    addresses, index = find(workers, pods, port)
    if workers and len(addresses) != workers:
        raise ConfigError(
            f"Expected workers={workers}. Received: {len(addresses)} by cluster={name!r}."
        )
    if not 0 <= index < len(addresses):
        raise ConfigError(
            f"Expected a task index in [0, {len(addresses)}), one for each worker. "
            f"Received: {index}."
        )
    return Cluster(tuple(addresses), index)


def _tf_config(workers, pods, port):
    text = os.environ.get("TF_CONFIG", "")
    if not text:
        raise ConfigError(
            f"Expected TF_CONFIG in the environment of every worker, like {EXAMPLE}, or "
            "cluster='slurm' or cluster='kubernetes'. Received: none."
        )
    try:
        given = json.loads(text)
    except ValueError:
        given = None
    if not isinstance(given, dict):
        raise ConfigError(f"Expected TF_CONFIG as JSON like {EXAMPLE}. Received: {text}.")
    cluster, task = given.get("cluster"), given.get("task")
    cluster = cluster if isinstance(cluster, dict) else {}
    addresses = cluster.get("worker")
    if not addresses or not isinstance(addresses, list) or set(cluster) != {"worker"}:
        raise ConfigError(
            f"Expected a TF_CONFIG whose cluster has workers only, like {EXAMPLE}. "
            f"Received: {text}."
        )
    if not isinstance(task, dict) or task.get("type") != "worker" or "index" not in task:
        raise ConfigError(
            f"Expected a TF_CONFIG with the task of this process, like {EXAMPLE}. Received: {text}."
        )
    resolver = RESOLVERS.TFConfigClusterResolver()
    try:
        return resolver.cluster_spec().as_dict()["worker"], int(resolver.task_id)
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"Expected addresses and a whole number as index in TF_CONFIG, like {EXAMPLE}. "
            f"Received: {text}."
        ) from error


def _slurm(workers, pods, port):
    try:
        # Slurm itself binds GPUs to tasks; the resolver's own assignment fails without GPUs. The
        # resolver numbers the tasks of a node by their GPUs, so it must be given at least one "GPU"
        # per task.
        tasks = max(_tasks_per_node())
        resolver = RESOLVERS.SlurmClusterResolver(
            port_base=port, gpus_per_node=tasks, gpus_per_task=1, auto_set_gpu=False
        )
        addresses = resolver.cluster_spec().as_dict()["worker"]
    except (KeyError, RuntimeError, ValueError) as error:
        raise ConfigError(
            "Expected cluster='slurm' inside a Slurm step (srun python -m mmtf.run ...). "
            f"Received: {str(error).strip()}."
        ) from error
    index = resolver.task_id
    node = os.environ.get("SLURMD_NODENAME")
    host = addresses[index].rpartition(":")[0]
    if node and host not in (node, "localhost"):
        raise ConfigError(
            f"Expected Slurm to place task {index} on {host}, as tf.distribute's resolver, which "
            f"sorts the nodes by name, assumes. Received: {node}. Set TF_CONFIG instead."
        )
    return addresses, index


def _tasks_per_node():
    text = os.environ["SLURM_STEP_TASKS_PER_NODE"]
    return [int(part.partition("(")[0]) for part in text.split(",")]


def _kubernetes(workers, pods, port):
    require(
        workers > 0, "workers > 0 with cluster='kubernetes', whose pods start one by one", workers
    )
    name = os.environ.get("POD_NAME")
    if not name:
        raise ConfigError(
            "Expected POD_NAME in the environment (Kubernetes' downward API, metadata.name). "
            "Received: none."
        )
    client = _LivingPods(_kubernetes_client())
    deadline = time.monotonic() + POD_SECONDS
    while True:
        found = client.list_pod_for_all_namespaces(label_selector=pods).items
        running = sorted(one.metadata.name for one in found if one.status.phase == "Running")
        if len(running) == len(found) == workers:
            break
        if time.monotonic() > deadline:
            raise ConfigError(
                f"Expected {workers} pods with the label {pods}, all running. "
                f"Received: {len(found)}, {len(running)} of them running."
            )
        time.sleep(2.0)
    require(name in running, f"POD_NAME to be one of {', '.join(running)}", name)
    resolver = RESOLVERS.KubernetesClusterResolver(
        {"worker": [pods]}, tf_server_port=port, override_client=client
    )
    # The resolver sorts the pods by name, too.
    return resolver.cluster_spec().as_dict()["worker"], running.index(name)


class _LivingPods:
    """Kubernetes API client for the resolver: lists live pods of this pod's namespace only.

    An evicted pod remains listed, as Failed, beside the pod that replaces it.
    """

    def __init__(self, client):
        self._client = client
        self._namespace = os.environ.get("POD_NAMESPACE") or _own_namespace()

    def list_pod_for_all_namespaces(self, label_selector):
        found = self._client.list_namespaced_pod(self._namespace, label_selector=label_selector)
        ended = ("Failed", "Succeeded")
        return types.SimpleNamespace(
            items=[one for one in found.items if one.status.phase not in ended]
        )


def _own_namespace():
    try:
        with open(NAMESPACE_FILE) as file:
            return file.read().strip()
    except OSError:
        return "default"


def _kubernetes_client():
    try:
        from kubernetes import client, config
    except ImportError as error:
        raise ConfigError(
            "Expected the Python package kubernetes (pip install kubernetes) for "
            "cluster='kubernetes'. Received: none installed."
        ) from error
    try:
        config.load_incluster_config()
    except config.ConfigException as error:
        raise ConfigError(
            "Expected cluster='kubernetes' inside a pod with a service account. "
            f"Received: {str(error).strip()}."
        ) from error
    return client.CoreV1Api()
