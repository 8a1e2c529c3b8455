"""Workers that meet, come late, call twice, or never come; without TensorFlow."""

import socket
import threading
import time

import pytest

from mmtf.distributed.clusters import Cluster
from mmtf.distributed.rendezvous import meet
from mmtf.errors import ConfigError


def free_port():
    with socket.socket() as one:
        one.bind(("localhost", 0))
        return one.getsockname()[1]


@pytest.fixture
def addresses():
    return tuple(f"localhost:{free_port()}" for _ in range(3))


def test_all_go_when_the_last_has_come(addresses):
    went = {}

    def come(index):
        meet(Cluster(addresses, index), 30.0)
        went[index] = time.monotonic()

    threads = [threading.Thread(target=come, args=(index,)) for index in (1, 0)]
    for one in threads:
        one.start()
    # Strangers, and a worker 2 that is killed while it waits, count for nothing.
    host, port = addresses[0].split(":")
    for word in (b"GET / HTTP/1.1", b"7", b"2"):
        for _ in range(100):
            try:
                with socket.create_connection((host, int(port)), timeout=5) as caller:
                    caller.sendall(word)
                break
            except OSError:
                time.sleep(0.05)
    time.sleep(1.0)
    assert not went
    last = time.monotonic()
    come(2)
    for one in threads:
        one.join(timeout=30)
    assert sorted(went) == [0, 1, 2] and min(went.values()) > last
    # TensorFlow takes the port next.
    with socket.create_server(("", int(port))):
        pass


def test_the_missing_are_named(addresses):
    with pytest.raises(ConfigError) as caught:
        meet(Cluster(addresses, 0), 0.1)
    assert str(caught.value) == (
        f"Expected all 3 workers within 0 s. Received: nothing from worker 1 ({addresses[1]}), "
        f"2 ({addresses[2]})."
    )
    with pytest.raises(ConfigError, match="Expected the chief.*Received: Connection refused"):
        meet(Cluster(addresses, 1), 0.1)


def test_another_program_at_the_chiefs_port(addresses):
    with socket.create_server(("localhost", int(addresses[0].split(":")[1]))) as server:
        with pytest.raises(ConfigError, match="to be free on this machine. Received: Address alr"):
            meet(Cluster(addresses, 0), 1.0)

        def answer():
            caller = server.accept()[0]
            caller.sendall(b"220 mail")
            caller.close()

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(ConfigError, match="another program than a waiting chief"):
            meet(Cluster(addresses, 1), 0.4)
        thread.join()


@pytest.mark.parametrize("address", ["host", "host:", ":1", "host:x"])
def test_an_address_without_a_port(address):
    with pytest.raises(ConfigError, match="Expected addresses host:port"):
        meet(Cluster((address, "b:1"), 1), 0.1)
