"""Clusters whose nodes talk to each other directly, at ports that stay theirs while they are down.

No proxy stands between them, so what takes time takes the time that it takes. A node that is killed
comes back at its port: none of those that the kernel gives to whoever connects, or a client that
dials a dead node would sooner or later get the node's own port, and keep it.
"""

import os
import random
import socket

from cluster import Cluster, Node
from weir_test import Failure, Server

LOWEST_PORT = 10000
RANGE = "/proc/sys/net/ipv4/ip_local_port_range"


def lasting_ports(count):
    """So many ports that are free, and are given to nobody who does not ask for them."""
    with open(RANGE, encoding="ascii") as text:
        end = int(text.read().split()[0])
    found = []
    if end <= LOWEST_PORT:
        raise Failure(f"{RANGE} begins with {end}: no ports are left below it")
    for port in random.sample(range(LOWEST_PORT, end), min(100, end - LOWEST_PORT)):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise Failure(f"no {count} free ports from {LOWEST_PORT} to {end}")


class FleetNode(Node):
    """A node that its peers dial where it listens."""

    def __init__(self, fleet, number, port, options):  # pylint: disable=super-init-not-called
        self.cluster, self.number = fleet, number
        folder = os.path.join(fleet.folder, f"node{number}")
        os.makedirs(folder, exist_ok=True)
        Server.__init__(self, folder, *options, start=False)
        self.port = port

    def arguments(self):
        peers = [
            f"--peer-addr=127.0.0.1:{node.port}"
            for node in self.cluster.nodes.values()
            if node.number != self.number
        ]
        own = ["--actor-id", str(self.number), f"--advertise=127.0.0.1:{self.port}"]
        return [*Server.arguments(self), *own, *peers]

    def start(self, seconds=20):
        return Server.start(self, seconds)

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"


class Fleet(Cluster):
    """Nodes 1..count; the actor of each is its number. Use as a context: all ends with it."""

    def __init__(self, folder, count, *options):  # pylint: disable=super-init-not-called
        self.folder, self.options, self.nodes = folder, options, {}
        for number, port in enumerate(lasting_ports(count), 1):
            self.nodes[number] = FleetNode(self, number, port, options)
        try:
            self.start()
        except BaseException:
            self.close()
            raise

    def close(self):
        for node in self.nodes.values():
            if node.process:
                node.thaw()
                node.process.kill()

    def __exit__(self, *_):
        self.close()
