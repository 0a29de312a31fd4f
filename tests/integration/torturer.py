"""A cluster under load and random faults for a long time, and what must hold afterwards.

Producers on all nodes, some of which wait for a second node; consumers in order of arrival and in
stable order that hop between the nodes; faults (faults.py), and now and then a rolling restart, or
a disk that is lost and a node that joins in its place. At the end, after healing:
  all nodes hold the same, by their own chains and byte by byte as read from each;
  what was acknowledged is there, under its id, in the order of its producer, unless only the lost
  disk held it (what a second node had acknowledged survives the loss of one disk);
  every consumer saw each event that matches once, in stable order in the order of ids;
  an id was the same event whenever and wherever it was seen;
  no alarm stands, memory is bounded, and every process ends when it is told to.
"""

import json
import os
import random
import select
import shutil
import time

from cluster import Cluster
from faults import Faults
from followers import ID, Follower, Sightings
from load import Producer
from weir_test import REDUCED, Failure, deadline_in, event_key, expect, expect_equal, processes
from weir_test import run_weir, wait_until

MEMORY_BYTES_MAX = 256 << 20  # of a node; sanitizers take more
PACE = 150  # events a second of one producer
BURST = 3000  # events of a producer that keeps no pace
PRODUCERS_PER_NODE = 2
# Well, broken off or refused, cannot connect, fewer replicas, nothing heard of a frozen node.
WRITER_STATUSES = (0, 1, 3, 4, 7)
FULL_MESH_MAX = 8  # members
VERDICTS_GOOD = {"equal", "equal (this node)", "cannot be reached"}
SECONDS_BETWEEN_CHECKS = 60  # of faults


class Writer(Producer):
    """A producer and the node that it talks to; every other one waits for a second node."""

    def __init__(self, node, serial, chance):
        self.node, self.actor = node, node.actor
        self.replicas = serial % 2 + 1
        is_burst = chance.random() < 0.1
        options = ("--output", "json")
        if self.replicas > 1:
            options += ("--replicas", "2", "--timeout", f"{chance.randrange(50, 3000)}ms")
        super().__init__(
            *(node, f"w{serial}", f"/t/{node.number}/{serial}"),
            in_flight=chance.choice((1, 16, 256)),
            size=chance.choice((0, 0, 100, 3000)),
            count=BURST if is_burst else None,
            options=options,
            pace=None if is_burst else PACE,
        )
        self.started_at = time.monotonic()

    def acknowledgements(self):
        return [json.loads(line) for line in self.acknowledged()]


class Torturer:
    """State over the whole run."""

    def __init__(self, folder, seed, nodes, say, *, wipes=True, freeze_seconds_max=60):
        self.folder, self.say, self.wipes = folder, say, wipes
        self.chance = random.Random(seed)
        self.cluster = Cluster(folder, nodes, names_actors=False)
        for node in self.cluster.nodes.values():
            node.actor = node.cluster_status()["node"]["actor"]
        self.history = open(os.path.join(folder, "history"), "w", encoding="utf-8")
        self.faults = Faults(self.cluster, self.chance, self.log, freeze_seconds_max)
        self.sightings = Sightings()
        self.writers, self.ended_writers, self.writer_serial = [], [], 0
        self.lost_actors = set()
        self.memory_bytes_max = 0
        patterns = [None, None, None, "/t/1/*", None]
        orders = ["arrival", "stable", "arrival", "arrival", "stable"]
        self.followers = [
            Follower(f"{order}{n}", folder, self.sightings, order, pattern)
            for n, (order, pattern) in enumerate(zip(orders, patterns))
        ]
        self.next_hop = dict.fromkeys(self.followers, 0.0)

    def log(self, text):
        self.history.write(f"{time.time():.3f} {text}\n")
        self.history.flush()

    def close(self):
        self.history.close()
        self.cluster.__exit__()

    # --- while it lasts ----------------------------------------------------------------------

    def tend(self):
        """Nodes that died, producers that broke off, consumers that hop."""
        for node in self.cluster.nodes.values():
            status = node.process.popen.poll()
            expect(status in (None, -9, 0), f"node {node.number} died: {status}")
        self.tend_writers()
        for follower in self.followers:
            follower.check_alive()
            if time.monotonic() >= self.next_hop[follower]:
                follower.end_leg()
                window = self.chance.choice((1, 16, 4096, 4096))
                follower.start(self.faults.some_node(), self.chance.random() < 0.8, window)
                self.next_hop[follower] = time.monotonic() + self.chance.uniform(0.2, 8)
        if self.chance.random() < 0.01:
            self.chance.choice(self.followers).freeze()
        if len(processes) > 60:
            for process in [process for process in processes if not process.is_running()]:
                if not any(process is node.process for node in self.cluster.nodes.values()):
                    process.close()
                    processes.remove(process)

    def tend_writers(self):
        for writer in list(self.writers):
            if not writer.is_running():
                self.end_writer(writer)
        now = time.monotonic()
        for node in self.cluster.running():
            mine = [writer for writer in self.writers if writer.node is node]
            if len(mine) < PRODUCERS_PER_NODE and now >= getattr(node, "next_writer", 0):
                self.writers.append(Writer(node, self.writer_serial, self.chance))
                self.writer_serial += 1
                node.next_writer = now + 0.5

    def end_writer(self, writer, seconds=60):
        writer.stopping.set()
        status = writer.process.wait(seconds)
        said = writer.process.stderr.text()
        self.log(f"{writer.name} at {writer.node.number}: exit {status} {said!r}")
        expect(status in WRITER_STATUSES, f"{writer.name}: exit {status}", said)
        self.writers.remove(writer)
        if writer.acknowledged():
            self.ended_writers.append(writer)

    def endure(self, seconds):
        """Lets faults happen for so long."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.faults.tend()
            self.tend()
            select.select([], [], [], 0.05)

    def hold_until(self, condition, what, seconds):
        """Waits while load and consumers go on."""

        def tended():
            self.tend()
            return condition()

        wait_until(tended, what, seconds)

    def settle(self):
        """Heals, and waits until all nodes hold what any holds now."""
        self.faults.heal()
        nodes = self.cluster.running()
        expect_equal(len(nodes), len(self.cluster.nodes), "nodes that run")
        begun = time.monotonic()
        for node in nodes:
            self.hold_until(node.may_produce, f"node {node.number} may produce", 60)
        ready = time.monotonic()
        goal = {}
        for node in nodes:
            for actor, counter in self.vector(node).items():
                goal[actor] = max(goal.get(actor, 0), counter)
        for node in nodes:
            self.hold_until(
                lambda n=node: all(self.vector(n).get(a, 0) >= c for a, c in goal.items()),
                f"node {node.number} holds what the others held: {goal}",
                60,
            )
        self.log("settled")
        return ready - begun, time.monotonic() - ready

    @staticmethod
    def vector(node):
        entries = node.cursor().lstrip("@").split(",")
        pairs = [entry.split(".") for entry in entries if entry]
        return {int(actor): int(counter) for counter, actor in pairs}

    def check_standing(self):
        """After healing: no alarms, and no node has grown."""
        for node in self.cluster.nodes.values():
            wait_until(lambda n=node: not n.alarms(), f"no alarm on {node.number}", 40)
            rss = node.rss_bytes()
            self.memory_bytes_max = max(self.memory_bytes_max, rss)
            expect(REDUCED or rss < MEMORY_BYTES_MAX, f"node {node.number} has {rss} bytes")

    # --- what an operator does meanwhile -----------------------------------------------------

    def rolling_restart(self):
        self.log("rolling restart")
        for node in list(self.cluster.nodes.values()):
            node.stop(20)
            node.start()
            self.hold_until(node.may_produce, f"node {node.number} may produce", 60)

    def part_and_go_on(self, node, others):
        """Nobody else holds what it acknowledges from now on."""
        self.cluster.proxy.part([node.number], [other.number for other in others])
        self.log(f"part {node.number}")
        alone = [w for w in self.writers if w.node is node and w.replicas == 1 and w.is_running()]
        acknowledged = [len(writer.acknowledged()) for writer in alone]
        self.hold_until(
            lambda: all(
                len(writer.acknowledged()) > before + PACE or not writer.is_running()
                for writer, before in zip(alone, acknowledged)
            ),
            "progress on a node that is alone",
            30,
        )

    def lose_disk(self):
        """A disk is gone; its actor is retired, and a fresh node joins."""
        node = self.faults.some_node()
        others = [other for other in self.cluster.nodes.values() if other is not node]
        if self.chance.random() < 0.6:
            self.part_and_go_on(node, others)
        self.log(f"node {node.number} loses its disk, actor {node.actor}")
        node.kill()
        self.cluster.proxy.heal()
        shutil.rmtree(node.data)
        self.lost_actors.add(node.actor)
        asked = self.chance.choice(others)

        def is_retired():
            self.cluster.proxy.cut_all()
            result = asked.weir(
                *("cluster", "retire", str(node.actor), "--yes"), status=None, seconds=40
            )
            self.log(f"retire at {asked.number}: {result!r}")
            return result.status == 0

        self.hold_until(is_retired, f"actor {node.actor} is retired", 60)
        node.start()
        self.hold_until(node.may_produce, f"the new node {node.number} may produce", 60)
        node.actor = node.cluster_status()["node"]["actor"]
        expect(node.actor not in self.lost_actors, "an actor is used again", node.actor)
        self.settle()

    # --- the whole run -----------------------------------------------------------------------

    def run(self, seconds):
        until = time.monotonic() + seconds
        phase = 0
        while (left := until - time.monotonic()) > 1:
            self.endure(min(left, SECONDS_BETWEEN_CHECKS))
            ready, level = self.settle()
            self.say(
                f"{phase + 1}: {len(self.sightings.lines)} events seen, ready after {ready:.1f} s, "
                f"level {level:.1f} s later"
            )
            self.check_standing()
            if phase % 2 == 1:
                self.rolling_restart()
            if self.wipes and phase % 2 == 0:
                self.lose_disk()
            phase += 1
        self.settle()
        return self.finish()

    def finish(self):
        for writer in list(self.writers):
            self.end_writer(writer)
        self.check_equal()
        self.check_standing()
        lines = self.read_everywhere()
        for line in lines:
            text = ID.match(line).group(1).decode()
            self.sightings.add(text, line, "the log at the end")
        events = [json.loads(line) for line in lines]
        self.check_followers(events)
        self.check_acknowledged(events)
        for node in self.cluster.nodes.values():
            node.stop(20)
        for process in processes:
            process.close()
        acknowledged = sum(len(writer.acknowledged()) for writer in self.ended_writers)
        return {
            "events": len(events),
            "acknowledged": acknowledged,
            "seen": sum(len(follower.seen) for follower in self.followers),
            "seen, and lost with a disk": len(self.sightings.lines) - len(events),
            "producers": len(self.ended_writers),
            "faults": self.faults.counts,
            "disks lost": len(self.lost_actors),
            "largest node, MiB": self.memory_bytes_max >> 20,
        }

    def check_equal(self):
        """By their vectors and chains."""
        nodes = self.cluster.running()
        if len(nodes) <= FULL_MESH_MAX:
            self.cluster.wait_equal(60)
            return
        # In a large cluster a node verifies those that it has a link to, and no others.
        wait_until(lambda: len({node.cursor() for node in nodes}) == 1, "equal vectors", 60)
        for node in nodes:
            result = node.weir("cluster", "verify", "--wait", "10s", status=None)
            verdicts = {line.split(": ")[1] for line in result.lines if ": " in line}
            expect(verdicts <= VERDICTS_GOOD, f"verify on node {node.number}", result)

    def read_everywhere(self):
        """What every node prints of all it holds: the same."""
        first = None
        for node in self.cluster.nodes.values():
            text = run_weir(
                *("consume", "--no-reconnect", "--output", "json"),
                env=node.client_env(),
                seconds=300,
                binary=True,
            ).stdout
            if first is None:
                first = text
            if text != first:
                raise Failure(f"node {node.number} prints other events than the first")
        return first.splitlines(keepends=True)

    def check_followers(self, events):
        highest = {}
        for event in events:
            counter, actor = event_key(event["id"])
            highest[actor] = max(counter, highest.get(actor, 0))
        for follower in self.followers:
            wanted = {event["id"] for event in events if follower.wants(event["namespace"])}
            deadline = deadline_in(60)
            while not wanted <= follower.seen:
                missing = sorted(wanted - follower.seen)
                expect(
                    time.monotonic() < deadline,
                    f"{follower.name}: {len(missing)} of {len(wanted)} events never came",
                    missing[:5],
                    list(follower.legs)[-5:],
                )
                follower.end_leg()
                follower.start(self.faults.some_node())
                select.select([follower.process.popen.stdout], [], [], 1)
                before = -1
                while before != len(follower.process.stdout.data):  # until nothing came for so long
                    before = len(follower.process.stdout.data)
                    select.select([], [], [], 0.5)
            follower.end_leg()
            for text in follower.seen - wanted:
                counter, actor = event_key(text)
                expect(
                    actor in self.lost_actors and counter > highest.get(actor, 0),
                    f"{follower.name} saw {text}, which is not there at the end",
                )

    def check_acknowledged(self, events):
        found = {}
        for event in events:
            found.setdefault(event["namespace"], []).append(event)
        for writer in self.ended_writers:
            stored = found.pop(writer.namespace, [])
            acks = writer.acknowledgements()
            expect(
                len(stored) >= len(acks) or writer.actor in self.lost_actors,
                f"{writer.name}: {len(acks)} acknowledged, {len(stored)} stored",
            )
            for number, ack in enumerate(acks):
                expect(
                    number < len(stored) or ack.get("nodes", 1) < 2,
                    f"{writer.name}: line {number} was on two nodes and is lost",
                    ack,
                )
            for number, event in enumerate(stored):
                expect(event["data"] == writer.line(number), f"{writer.name}: not {number}", event)
                expect(number >= len(acks) or event["id"] == acks[number]["id"], "id", event)
        for namespace, stored in found.items():
            expect(namespace.startswith("/t/"), "events nobody produced", namespace, stored[:1])
