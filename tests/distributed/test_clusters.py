"""Addresses and indices from TF_CONFIG, Slurm's and Kubernetes' environments; one-line errors."""

import json
import types

import pytest

from mmtf.distributed import clusters
from mmtf.distributed.clusters import Cluster, find_cluster
from mmtf.errors import ConfigError

VARIABLES = ("TF_CONFIG", "POD_NAME", "SLURMD_NODENAME", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS")
STEP = {
    "SLURM_PROCID": "2",
    "SLURM_STEP_NUM_TASKS": "3",
    "SLURM_STEP_NODELIST": "n[1-2]",
    "SLURM_STEP_TASKS_PER_NODE": "2,1",
}


@pytest.fixture(autouse=True)
def nowhere(monkeypatch):
    """An environment that names no cluster."""
    for name in {*VARIABLES, *STEP}:
        monkeypatch.delenv(name, raising=False)


def tf_config(index=1, workers=("a:1", "b:1"), kind="worker"):
    return {"cluster": {"worker": list(workers)}, "task": {"type": kind, "index": index}}


def test_tf_config(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", json.dumps(tf_config()))
    assert find_cluster() == find_cluster(workers=2) == Cluster(("a:1", "b:1"), 1)
    with pytest.raises(ConfigError, match="Expected workers=3. Received: 2"):
        find_cluster(workers=3)


def test_what_the_strategy_asks_of_a_cluster():
    resolver = Cluster(("a:1", "b:1"), 1).resolver()
    assert resolver.cluster_spec().as_dict() == {"worker": ["a:1", "b:1"]}
    assert (resolver.task_type, resolver.task_id, resolver.rpc_layer) == ("worker", 1, "grpc")
    assert "GPU" in resolver.num_accelerators()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("", "Expected TF_CONFIG in the environment of every worker"),
        ("{", "Expected TF_CONFIG as JSON"),
        ("[1]", "Expected TF_CONFIG as JSON"),
        ("{}", "whose cluster has workers only"),
        (json.dumps({"cluster": 3}), "whose cluster has workers only"),
        (json.dumps(tf_config() | {"cluster": {"worker": "a:1"}}), "has workers only"),
        (json.dumps({"cluster": {"worker": ["a:1"], "ps": ["b:1"]}}), "has workers only"),
        (json.dumps({"cluster": {"worker": ["a:1"]}}), "with the task of this process"),
        (json.dumps(tf_config() | {"task": 1}), "with the task of this process"),
        (json.dumps(tf_config(kind="chief")), "with the task of this process"),
        (json.dumps(tf_config(index="x")), "Expected addresses and a whole number as index"),
        (json.dumps(tf_config(index=None)), "Expected addresses and a whole number as index"),
        (json.dumps(tf_config(workers=[1, 2])), "Expected addresses and a whole number as index"),
        (json.dumps(tf_config(index=2)), r"Expected a task index in \[0, 2\)"),
    ],
)
def test_a_bad_tf_config_gets_one_line(monkeypatch, value, message):
    if value:
        monkeypatch.setenv("TF_CONFIG", value)
    with pytest.raises(ConfigError, match=message) as caught:
        find_cluster()
    assert "\n" not in str(caught.value)


def test_an_unknown_manager():
    with pytest.raises(ConfigError, match="Expected cluster to be one of tf_config, slurm, kub"):
        find_cluster("mesos")


def test_slurm(monkeypatch):
    for name, value in STEP.items():
        monkeypatch.setenv(name, value)
    assert find_cluster("slurm") == Cluster(("n1:8888", "n1:8889", "n2:8888"), 2)
    assert find_cluster("slurm", port=7000).addresses == ("n1:7000", "n1:7001", "n2:7000")
    monkeypatch.setenv("SLURMD_NODENAME", "n2")
    assert find_cluster("slurm").index == 2
    monkeypatch.setenv("SLURMD_NODENAME", "n1")
    with pytest.raises(ConfigError, match="place task 2 on n2"):
        find_cluster("slurm")


def test_slurm_counts_the_tasks_of_alike_nodes(monkeypatch):
    many = {"SLURM_PROCID": "4", "SLURM_STEP_NUM_TASKS": "5", "SLURM_STEP_NODELIST": "n[1-3]"}
    for name, value in {**many, "SLURM_STEP_TASKS_PER_NODE": "2(x2),1"}.items():
        monkeypatch.setenv(name, value)
    places = ("n1:8888", "n1:8889", "n2:8888", "n2:8889", "n3:8888")
    assert find_cluster("slurm") == Cluster(places, 4)


def test_slurm_outside_a_step():
    with pytest.raises(ConfigError, match="Expected cluster='slurm' inside a Slurm step"):
        find_cluster("slurm")


class Api:
    """The one call of Kubernetes' API that is made; `found` are its answers, one after another."""

    def __init__(self, *found):
        self.found = list(found)

    def list_namespaced_pod(self, namespace, label_selector):
        assert (namespace, label_selector) == ("mine", "app=x")
        pods = self.found.pop(0) if len(self.found) > 1 else self.found[0]
        return types.SimpleNamespace(items=[pod(*one) for one in pods])


def pod(name, phase, ip):
    return types.SimpleNamespace(
        metadata=types.SimpleNamespace(name=name),
        status=types.SimpleNamespace(phase=phase, host_ip=ip),
    )


def test_kubernetes_waits_until_all_pods_run(monkeypatch):
    monkeypatch.setattr(clusters.time, "sleep", lambda seconds: None)
    a, b = ("a", "Running", "10.0.0.1"), ("b", "Running", "10.0.0.2")
    api = Api([b], [b, ("a", "Pending", None)], [b, a])
    monkeypatch.setattr(clusters, "_kubernetes_client", lambda: api)
    monkeypatch.setenv("POD_NAME", "b")
    monkeypatch.setenv("POD_NAMESPACE", "mine")
    found = find_cluster("kubernetes", workers=2, pods="app=x")
    assert found == Cluster(("10.0.0.1:8888", "10.0.0.2:8888"), 1)
    monkeypatch.setenv("POD_NAME", "c")
    with pytest.raises(ConfigError, match="Expected POD_NAME to be one of a, b"):
        find_cluster("kubernetes", workers=2, pods="app=x")
    monkeypatch.setattr(clusters, "POD_SECONDS", 0.0)
    with pytest.raises(ConfigError, match="Expected 3 pods with the label app=x, all running"):
        find_cluster("kubernetes", workers=3, pods="app=x")


def test_kubernetes_leaves_out_pods_that_have_ended(monkeypatch):
    a, b = ("a", "Running", "10.0.0.1"), ("c", "Running", "10.0.0.2")
    api = Api([a, ("b", "Failed", "10.0.0.9"), ("d", "Succeeded", None), b])
    monkeypatch.setattr(clusters, "_kubernetes_client", lambda: api)
    monkeypatch.setenv("POD_NAME", "c")
    monkeypatch.setenv("POD_NAMESPACE", "mine")
    found = find_cluster("kubernetes", workers=2, pods="app=x", port=9000)
    assert found == Cluster(("10.0.0.1:9000", "10.0.0.2:9000"), 1)


def test_kubernetes_says_what_is_missing(monkeypatch):
    with pytest.raises(ConfigError, match="workers > 0 with cluster='kubernetes'"):
        find_cluster("kubernetes")
    with pytest.raises(ConfigError, match="Expected POD_NAME"):
        find_cluster("kubernetes", workers=2)
    monkeypatch.setenv("POD_NAME", "a")
    monkeypatch.setitem(__import__("sys").modules, "kubernetes", None)
    with pytest.raises(ConfigError, match="pip install kubernetes"):
        find_cluster("kubernetes", workers=2)
