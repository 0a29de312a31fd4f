"""A cluster with durable subscriptions whose nodes and consumers are killed, and what must hold.

Producers at all nodes; several subscriptions with several consumers each, in processes of their
own, which write down what they handled before they acknowledge it. In a storm nodes and consumers
are killed, stopped and frozen at random; in a calm only consumers are. Then all is healed, and:
  every event that is stored was handled, by each subscription, and what was acknowledged is stored;
  no more came again than the failures explain;
  in a calm each key was handled in order, in a storm by each consumer, for each coordinator;
  all nodes say the same of each subscription, nothing is in flight, and nothing was parked;
  no consumer has ended by itself.
"""

import json
import os
import random
import select
import signal
import time

import wire
from faults import Faults
from fleet import Fleet
from group_checks import Bound, Handled, data_of
from group_consumers import show
from load import Producer
from weir_test import BUILD, CLI, Failure, Process, expect, expect_equal, processes, wait_until

FILTER, KEY, CHECKPOINT_EVERY, CREATE = 1, 13, 17, 2
SPACES, COLOURS = 7, 5  # keys
SUBSCRIPTIONS = {
    "plain": ({}, 3),
    "spaces": ({KEY: [1]}, 3),
    "colours": ({KEY: [3, "colour"]}, 2),
}  # how each is defined, and how many consumers it has
EVERY, IN_FLIGHT = 200, 100
PACE = 60  # events a second of one producer
KINDS = ("worker", "worker", "leaving", "each", "up_to", "slow", "refusing", "consume", "exec")
# Its input is empty when `weir exec` is killed before it has written there.
COMMAND = 'read -r data; [ -n "$data" ] && echo "$WEIR_ID $WEIR_ATTEMPT $data"'
CLI_KINDS = {
    "consume": ("--output", "json"),
    "exec": ("--", "sh", "-c", COMMAND),
}  # weir's commands, and their arguments
CLI_CANNOT_CONNECT = 3
HERE = os.path.dirname(os.path.abspath(__file__))
CANNOT_CONNECT = "cannot connect"
SETTLING_SECONDS = 120
PRODUCER_STATUSES = (0, 1, 3, 7)


class Writer(Producer):
    """A producer of events with a key of each kind."""

    def __init__(self, node, serial, chance):
        self.chance, self.node = chance, node
        self.written = []
        in_flight = chance.choice((1, 16, 64))
        super().__init__(node, f"w{serial}", None, in_flight, pace=PACE, words=("--json", "-"))

    def line(self, number):
        space, colour = self.chance.randrange(SPACES), self.chance.randrange(COLOURS)
        data = data_of(self.name, number, space, colour)
        self.written.append(data)
        return json.dumps(
            {"namespace": f"/g/{space}", "data": data, "attributes": {"colour": str(colour)}}
        )


class Member:
    """A consumer in a process of its own."""

    def __init__(self, subscription, path, node, others, kind, chance):
        self.subscription, self.node, self.kind = subscription, node, kind
        appending = ("sh", "-c", 'exec "$@" >>"$0"', path)
        nodes = [node, *others]
        if kind in CLI_KINDS:
            words = [CLI, kind, "--subscription", subscription, "--no-create", *CLI_KINDS[kind]]
            self.process = Process(words, prefix=appending, env=node.client_env())
        elif kind in ("worker", "leaving"):
            count = chance.randrange(20, 400) if kind == "leaving" else 0
            worker = os.path.join(BUILD, "examples", "worker")
            words = [worker, subscription, "/g/**", str(count), *(n.address for n in nodes)]
            self.process = Process(words, prefix=appending)
        else:
            script = os.path.join(HERE, "group_member")
            words = [script, path, subscription, kind, str(IN_FLIGHT)]
            ports = [str(n.port) for n in nodes]
            self.process = Process([*words, *ports], env={"WEIR_BUILD": BUILD})

    def __str__(self):
        return f"{self.subscription} {self.kind} {self.process.pid} at {self.node.number}"

    def check_end(self):
        """It ended by itself: because it was done, or when no node was there."""
        status, said = self.process.wait(), self.process.stderr.text()
        is_done = self.kind == "leaving" and status == 0
        is_done |= self.kind in CLI_KINDS and status == CLI_CANNOT_CONNECT
        expect(is_done or CANNOT_CONNECT in said, f"{self} ended, exit {status}", said[-2000:])


class GroupFaults(Faults):
    """What happens to nodes and consumers."""

    def __init__(self, killer):
        super().__init__(killer.fleet, killer.chance, killer.log, 5)
        self.killer = killer
        self.of_consumers = [
            (self.kill_member, 8),
            (self.freeze_member, 4),
            (self.kill_members_of_node, 2),
        ]
        self.of_nodes = [(self.kill, 4), (self.restart, 2), (self.freeze, 3), (self.kill_all, 0.5)]

    def begin(self, has_nodes):
        self.kinds = self.of_consumers + (self.of_nodes if has_nodes else [])

    def heal(self):
        for _, undo in self.standing:
            undo()
        self.standing.clear()

    # What fails is what the bound of what comes again is made of.

    def kill(self):
        self.killer.node_failed()
        super().kill()

    def kill_all(self):
        for _ in self.cluster.nodes:
            self.killer.node_failed()
        super().kill_all()

    def restart(self):
        self.killer.node_failed()
        super().restart()

    def freeze(self):
        self.killer.node_failed()
        super().freeze()

    def kill_member(self):
        self.killer.kill_member(self.chance.choice(self.killer.members))

    def kill_members_of_node(self):
        node = self.some_node()
        for member in [m for m in self.killer.members if m.node is node]:
            self.killer.kill_member(member)

    def freeze_member(self):
        member = self.chance.choice(self.killer.members)
        seconds = self.chance.uniform(1, 5)
        self.log(f"freeze {member} for {seconds:.1f} s")
        self.killer.bounds[member.subscription].consumer_failed()
        member.process.signal(signal.SIGSTOP)
        self.lasting(seconds, lambda: member.process.signal(signal.SIGCONT))


class GroupKiller:
    """State over the whole run. Close it."""

    def __init__(self, folder, seed, nodes, say):
        self.folder, self.say = folder, say
        self.chance = random.Random(seed)
        self.history = open(os.path.join(folder, "history"), "w", encoding="utf-8")
        self.members, self.writers = [], []
        self.writer_serial = 0
        self.acknowledged = {}  # id -> data
        self.members_started = 0
        self.handled, self.bounds = {}, {}
        self.calms_judged, self.calms = 0, 0
        self.fleet = Fleet(folder, nodes)
        self.faults = GroupFaults(self)
        for name in SUBSCRIPTIONS:
            self.handled[name] = Handled(name, os.path.join(folder, f"handled-{name}"))
            self.bounds[name] = Bound(EVERY, IN_FLIGHT)
            self.create(name)

    def create(self, name):
        definition = {FILTER: [[0, "/g/**"]], CHECKPOINT_EVERY: EVERY, **SUBSCRIPTIONS[name][0]}
        with wire.Connection(self.fleet[1]) as admin:
            reply = admin.ask(wire.SUBSCRIPTIONS, None, CREATE, name, "", definition)
            expect(reply[0] == wire.R_SUBSCRIPTIONS, f"{name} is not created", reply)

    def log(self, text):
        self.history.write(f"{time.time():.3f} {text}\n")
        self.history.flush()

    def close(self):
        for member in self.members:
            member.process.signal(signal.SIGCONT)
            member.process.kill()
        for writer in self.writers:
            writer.stopping.set()
            writer.process.kill()
        self.fleet.close()
        self.history.close()

    # --- while it lasts ----------------------------------------------------------------------

    def node_failed(self):
        for name, bound in self.bounds.items():
            bound.node_failed(SUBSCRIPTIONS[name][1])

    def kill_member(self, member):
        self.log(f"kill -9 {member}")
        self.bounds[member.subscription].consumer_failed()
        member.process.kill()
        self.forget(member)

    def forget(self, member):
        self.members.remove(member)
        member.process.close()
        if member.process in processes:
            processes.remove(member.process)

    def tend(self):
        """Consumers that have gone, and producers that broke off, are replaced."""
        for node in self.fleet.nodes.values():
            status = node.process.popen.poll()
            expect(status in (None, -9, 0), f"node {node.number} died: {status}")
        for member in list(self.members):
            if not member.process.is_running():
                self.log(f"{member} has ended")
                member.check_end()
                self.bounds[member.subscription].consumer_failed()
                self.forget(member)
        for name, (_, count) in SUBSCRIPTIONS.items():
            for _ in range(count - sum(m.subscription == name for m in self.members)):
                self.start_member(name)
        for handled in self.handled.values():
            handled.read()

    def start_member(self, name):
        node, *others = self.chance.sample(list(self.fleet.nodes.values()), len(self.fleet.nodes))
        kind = self.chance.choice(KINDS)
        member = Member(name, self.handled[name].path, node, others, kind, self.chance)
        self.log(f"start {member}")
        self.members.append(member)
        self.members_started += 1

    def tend_writers(self):
        for writer in list(self.writers):
            if not writer.is_running():
                self.end_writer(writer)
        now = time.monotonic()
        for node in self.fleet.running():
            has_one = any(writer.node is node for writer in self.writers)
            if not has_one and now >= getattr(node, "next_writer", 0):
                self.writers.append(Writer(node, self.writer_serial, self.chance))
                self.writer_serial += 1
                node.next_writer = now + 0.5

    def end_writer(self, writer):
        writer.stopping.set()
        status = writer.process.wait(60)
        said = writer.process.stderr.text()
        expect(status in PRODUCER_STATUSES, f"{writer.name}: exit {status}", said)
        ids = writer.acknowledged()
        self.acknowledged.update(zip(ids, writer.written))
        self.log(f"{writer.name} at {writer.node.number}: {len(ids)} acknowledged, {said!r}")
        self.writers.remove(writer)
        writer.process.close()
        if writer.process in processes:
            processes.remove(writer.process)

    def endure(self, seconds, has_nodes):
        """Lets faults happen for so long, then heals, and waits until all is handled."""
        self.log("storm" if has_nodes else "calm")
        self.faults.begin(has_nodes)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.tend()
            self.tend_writers()
            self.faults.tend()
            select.select([], [], [], 0.05)
        self.faults.heal()
        self.settle()

    # --- when it is over ---------------------------------------------------------------------

    def hold_until(self, condition, what, seconds=SETTLING_SECONDS):
        def tended():
            self.tend()
            return condition()

        wait_until(tended, what, seconds)

    def settle(self):
        expect_equal(len(self.fleet.running()), len(self.fleet.nodes), "nodes that run")
        for writer in self.writers:
            writer.stopping.set()
        for writer in list(self.writers):
            self.end_writer(writer)
        begun = time.monotonic()
        nodes = self.fleet.nodes.values()
        for node in nodes:
            self.hold_until(node.may_produce, f"node {node.number} may produce")
        for handled in self.handled.values():
            self.wait_handled(handled)
        self.log(f"handled after {time.monotonic() - begun:.1f} s")
        for name in SUBSCRIPTIONS:
            self.wait_agreed(name)
        self.log(f"agreed after {time.monotonic() - begun:.1f} s")

    def wait_handled(self, handled):
        try:
            self.hold_until(
                lambda: self.acknowledged.keys() <= handled.counts.keys(),
                f"{handled.name}: all that was acknowledged is handled",
            )
        except Failure as failure:
            missing = sorted(self.acknowledged.keys() - handled.counts.keys())
            rows = self.rows(handled.name)
            raise Failure(
                f"{failure}: {len(missing)} are missing, {missing[:5]}; {list(map(str, rows))}"
            ) from None

    def rows(self, name):
        return [show(node, name) for node in self.fleet.nodes.values()]

    def wait_agreed(self, name):
        """All nodes say the same of it; nothing is in flight, nothing is behind."""
        rows = []

        def agree():
            rows[:] = self.rows(name)
            first = rows[0]
            return (
                all(row == first for row in rows)
                and first.consumers == SUBSCRIPTIONS[name][1]
                and first.in_flight == first.waiting == first.lag == 0
            )

        try:
            self.hold_until(agree, f"{name}: the nodes agree")
        except Failure as failure:
            raise Failure("\n".join([str(failure), *map(str, rows)])) from None
        expect_equal(rows[0].parked, 0, f"{name}: parked events")

    def storm(self, seconds):
        self.endure(seconds, has_nodes=True)

    def calm(self, seconds):
        """Only consumers fail. Judged unless another node took over by itself meanwhile."""
        before = {}
        for name, handled in self.handled.items():
            handled.read()
            handled.disorder.clear()
            handled.mark("calm")
            before[name] = (self.rows(name)[0], len(handled.counts), self.excess(name))
        self.endure(seconds, has_nodes=False)
        for name, handled in self.handled.items():
            handled.mark("end of the calm")
            handled.read()
            row, count, excess = before[name]
            now = self.rows(name)[0]
            more = len(handled.counts) - count
            is_same = now.coordinator == row.coordinator and now.delivered >= row.delivered + more
            self.calms += 1
            self.calms_judged += is_same
            if is_same:
                expect(not handled.disorder, f"{name}: out of order", *handled.disorder[:5])
                more = self.excess(name) - excess
                expect(more <= 0, f"{name}: {more} came again beyond what was in flight")

    def excess(self, name):
        """How many more came again than the failures so far explain; below 0 as a rule."""
        return self.handled[name].repeats() - self.bounds[name].events

    def check(self):
        """All that is stored was handled, and nothing else."""
        events = self.fleet[1].events("-n", "/g/**", seconds=300)
        stored = {event["id"]: event["data"] for event in events}
        for text, data in self.acknowledged.items():
            expect_equal(stored.get(text), data, f"what is stored as {text}")
        for name, handled in self.handled.items():
            missing = sorted(stored.keys() - handled.counts.keys())
            expect(not missing, f"{name}: {len(missing)} stored, never handled", missing[:5])
            strange = {t for t, data in handled.data.items() if stored.get(t) != data}
            expect(not strange, f"{name}: {len(strange)} handled, not stored", sorted(strange)[:5])
            repeats, bound = handled.repeats(), self.bounds[name].events
            expect(repeats <= bound, f"{name}: {repeats} came again, at most {bound} should")
        for node in self.fleet.nodes.values():
            expect_equal(node.events("-n", "/$weir/parked/**"), [], "parked events")
        return len(stored)

    def run(self, seconds, cycle=45):
        """Storms and calms, until the time is over; what there was."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 1:
            part = min(left, cycle)
            self.storm(part * 2 / 3)
            self.calm(part / 3)
            stored = self.check()
            counts = ", ".join(f"{n} {h.repeats()}" for n, h in self.handled.items())
            self.say(f"{stored} events handled; came again: {counts}")
        return self.end(stored)

    def end(self, stored):
        for member in list(self.members):
            member.process.kill()
            self.forget(member)
        for node in self.fleet.nodes.values():
            node.stop(20)
        found = {
            "events": f"{stored}, {len(self.acknowledged)} of them acknowledged",
            "consumers": self.members_started,
            "faults": dict(sorted(self.faults.counts.items())),
            "calms judged": f"{self.calms_judged} of {self.calms}",
        }
        for name, handled in self.handled.items():
            found[name] = (
                f"{handled.repeats()} came again (at most {self.bounds[name].events}), "
                f"{handled.refused} refused, order of {handled.orders} seen"
            )
        return found
