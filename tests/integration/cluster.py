"""Clusters of real nodes for tests, each reachable for the others through the fault proxy."""

import json
import os
import signal
import uuid as uuids

from fault_proxy import FaultProxy
from weir_test import Failure, Server, expect, wait_until


class Node(Server):
    """A server that is dialled at a port of the proxy. Known to tests by its number, from 1."""

    def __init__(self, cluster, number, options):
        self.cluster, self.number = cluster, number
        self.proxy_port = cluster.proxy.add(number)
        folder = os.path.join(cluster.folder, f"node{number}")
        os.makedirs(folder, exist_ok=True)
        super().__init__(folder, *options, start=False)

    def arguments(self):
        peers = [
            f"--peer-addr=127.0.0.1:{node.proxy_port}"
            for node in self.cluster.nodes.values()
            if node.number != self.number
        ]
        own = ["--actor-id", str(self.number)] if self.cluster.names_actors else []
        advertised = [f"--advertise=127.0.0.1:{self.proxy_port}"]
        return [*super().arguments(), *own, *advertised, *peers]

    def start(self, seconds=20):
        super().start(seconds)
        with open(os.path.join(self.data, "identity"), encoding="utf-8") as identity:
            text = identity.read()
        line = next(word for word in text.splitlines() if word.startswith("node"))
        uuid = uuids.UUID(line.split()[-1]).bytes
        self.cluster.proxy.set_target(self.number, self.port, uuid)
        return self

    def cluster_status(self):
        return json.loads(self.weir("cluster", "status", "--output", "json").stdout)

    def may_produce(self):
        return self.cluster_status()["may_produce"]

    def cursor(self):
        return self.status()["cursor"]

    def alarms(self):
        return self.cluster_status()["alarms"]

    def has_alarm(self, code):
        return any(alarm["code"] == code for alarm in self.alarms())

    def freeze(self):
        self.process.signal(signal.SIGSTOP)

    def thaw(self):
        self.process.signal(signal.SIGCONT)


class Cluster:
    """Nodes 1..count. Use as a context: everything ends with it."""

    def __init__(self, folder, count, *options, start=True, names_actors=True):
        self.folder, self.options, self.names_actors = folder, options, names_actors
        self.proxy = FaultProxy()
        self.nodes = {}
        for number in range(1, count + 1):
            self.nodes[number] = Node(self, number, options)
        if start:
            self.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for node in self.nodes.values():
            if node.process:
                node.process.signal(signal.SIGCONT)
                node.process.kill()
        self.proxy.close()

    def __getitem__(self, number):
        return self.nodes[number]

    def start(self):
        for node in self.nodes.values():
            node.start()
        self.wait_ready()

    def add(self, number, *options):
        """One more node, not started."""
        self.nodes[number] = Node(self, number, options or self.options)
        return self.nodes[number]

    def running(self):
        return [n for n in self.nodes.values() if n.process and n.process.is_running()]

    def wait_ready(self, seconds=30):
        for node in self.running():
            wait_until(node.may_produce, f"node {node.number} may produce", seconds)

    def wait_equal(self, seconds=30):
        """All running nodes hold the same; their own word for it, with chain hashes."""
        nodes = self.running()
        try:
            wait_until(lambda: len({n.cursor() for n in nodes}) == 1, "equal vectors", seconds)
        except Failure as failure:
            said = [n.weir("cluster", "status", status=None).stdout for n in nodes]
            said += [n.cursor() for n in nodes]
            raise Failure("\n".join([str(failure), *said])) from None
        for node in nodes:
            result = node.weir(
                *("cluster", "verify", "--wait", "20s"), status=None, seconds=40
            )
            expect(result.status == 0, f"verify on node {node.number}", result)

    def check_same_events(self):
        """Byte by byte, by reading everything from every node."""
        nodes = self.running()
        first = nodes[0].events()
        for node in nodes[1:]:
            other = node.events()
            if first != other:
                at = next(
                    (i for i, (a, b) in enumerate(zip(first, other)) if a != b),
                    min(len(first), len(other)),
                )
                raise Failure(
                    f"nodes {nodes[0].number} and {node.number} differ at event {at} of "
                    f"{len(first)} and {len(other)}: {first[at : at + 1]} {other[at : at + 1]}"
                )
        return first


def produce_is_refused(node, *words):
    """The text of the refusal."""
    result = node.weir("produce", "-n", "/no", "-d", "no", status=None)
    expect(result.status != 0, "produce was accepted", result)
    for word in words:
        expect(word in result.stderr, f"the refusal does not speak of {word!r}", result.stderr)
    return result.stderr


def reads_all(node):
    result = node.weir("consume", "-n", "/a", "--output", "raw", status=None)
    return result.status == 0


def damage_tables(log):
    """Flips one byte in the middle of every table of the log that is large enough for data."""
    damaged = 0
    for name in sorted(os.listdir(log)):
        path = os.path.join(log, name)
        if name.endswith(".sst") and os.path.getsize(path) > 100000:
            with open(path, "r+b") as table:
                table.seek(os.path.getsize(path) // 2)
                byte = table.read(1)
                table.seek(-1, os.SEEK_CUR)
                table.write(bytes([byte[0] ^ 0x40]))
            damaged += 1
    expect(damaged > 0, "no table to damage", os.listdir(log))
