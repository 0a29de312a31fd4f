"""How long a consumer of a durable subscription gets nothing when a node is killed."""

import os
import statistics
import time

import wire
from fleet import Fleet
from group_consumers import show
from weir_test import BUILD, Failure, Process, deadline_in, expect, processes, wait_until

NAME = "failover"
STEADY = 20  # events that come before something happens
PATIENCE_SECONDS = 30


class Failover:
    """Rounds of kill -9: of the node that the consumer is connected to, or of the coordinator."""

    def __init__(self, folder, nodes):
        self.fleet = Fleet(folder, nodes)
        self.serial = 0

    def close(self):
        self.fleet.close()

    def start_worker(self, node):
        others = [other for other in self.fleet.nodes.values() if other is not node]
        worker = os.path.join(BUILD, "examples", "worker")
        addresses = [n.address for n in (node, *others)]
        process = Process([worker, NAME, "/f", "0", *addresses])
        process.stderr.wait_line("^attached", PATIENCE_SECONDS)
        return process

    @staticmethod
    def end(worker):
        worker.close()
        processes.remove(worker)

    def produce_until(self, connection, worker, count):
        """Produces events, a few milliseconds apart, until so many of them have come."""
        deadline = deadline_in(PATIENCE_SECONDS)
        prefix = f" e{self.serial}-"
        self.serial += 1
        number = 0
        while time.monotonic() < deadline:
            reply = connection.produce(wire.event("/f", f"{prefix[1:]}{number}".encode()))
            expect(reply[0] == wire.R_PRODUCED, "the answer to PRODUCE", reply)
            number += 1
            with worker.stdout.changed:
                worker.stdout.changed.wait(0.005)
                if worker.stdout.data.count(prefix.encode()) >= count:
                    return
        raise Failure(f"not {count} events in {PATIENCE_SECONDS} s: {worker.stderr.text()[-2000:]}")

    def wait_agreed(self):
        """All nodes say who coordinates, and that the one consumer is there: the coordinator."""
        rows = []

        def agree():
            rows[:] = [show(node, NAME) for node in self.fleet.nodes.values()]
            first = rows[0]
            return first.consumers == 1 and all(
                (row.coordinator, row.consumers) == (first.coordinator, 1) for row in rows
            )

        wait_until(agree, "the nodes agree", 60)
        return self.fleet[rows[0].coordinator]

    def one_round(self, coordinator, is_coordinator_killed):
        one, two = [n for n in self.fleet.nodes.values() if n is not coordinator][:2]
        worker = self.start_worker(one)
        victim = coordinator if is_coordinator_killed else one
        wait_until(lambda: self.wait_agreed() is coordinator, "it coordinates", 60)
        with wire.Connection(two) as connection:
            self.produce_until(connection, worker, STEADY)
            victim.kill()  # a process that waits for its disk takes a while to go
            gone_at = time.monotonic()
            self.produce_until(connection, worker, 1)
            seconds = time.monotonic() - gone_at
        victim.start()
        wait_until(victim.may_produce, f"node {victim.number} may produce", 60)
        self.end(worker)
        return seconds

    def run(self, rounds):
        worker = self.start_worker(self.fleet[1])
        coordinator = self.wait_agreed()
        self.end(worker)
        found = {}
        for what, is_coordinator in (("its own node", False), ("the coordinator", True)):
            times = sorted(self.one_round(coordinator, is_coordinator) for _ in range(rounds))
            found[f"kill -9 of {what}"] = (
                f"events again after {statistics.median(times) * 1000:.0f} ms (p50), "
                f"{times[-1] * 1000:.0f} ms (max) of {rounds}"
            )
        return found
