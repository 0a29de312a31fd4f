"""What can happen to a cluster of real processes: each fault begins, lasts, and is undone.

Several last at the same time. What one does to a node another may undo (a frozen node is killed, a
node that is down starts again): each looks at what it finds.
"""

import time

from weir_test import deadline_in

FAULTS_AT_ONCE = 3


class Faults:
    """Random faults over a cluster; `tend` is called often and does what is due."""

    def __init__(self, cluster, chance, log, freeze_seconds_max):
        self.cluster, self.chance, self.log = cluster, chance, log
        self.freeze_seconds_max = freeze_seconds_max
        self.standing = []  # (until, undo)
        self.next_at = 0.0
        self.counts = {}
        self.kinds = [
            (self.kill, 5),
            (self.kill_all, 1),
            (self.freeze, 3),
            (self.restart, 1),
            (self.part, 4),
            (self.one_way, 3),
            (self.mute, 2),
            (self.cut, 6),
            (self.cut_everything, 1),
            (self.delay, 3),
            (self.throttle, 2),
        ]

    def tend(self):
        now = time.monotonic()
        for fault in [fault for fault in self.standing if fault[0] <= now]:
            self.standing.remove(fault)
            fault[1]()
        if now >= self.next_at and len(self.standing) < FAULTS_AT_ONCE:
            kinds, weights = zip(*self.kinds)
            kind = self.chance.choices(kinds, weights)[0]
            self.counts[kind.__name__] = self.counts.get(kind.__name__, 0) + 1
            kind()
            self.next_at = time.monotonic() + self.chance.uniform(0.05, 1.5)

    def heal(self):
        """Ends all that stands: every node runs, everybody reaches everybody."""
        for _, undo in self.standing:
            undo()
        self.standing.clear()
        self.cluster.proxy.heal()

    def lasting(self, seconds, undo):
        self.standing.append((deadline_in(seconds), undo))

    def some_node(self):
        return self.chance.choice(list(self.cluster.nodes.values()))

    def some_two(self):
        return self.chance.sample(sorted(self.cluster.nodes), 2)

    def while_short(self):
        """Seconds, mostly few."""
        return min(self.chance.expovariate(0.7), 15)

    # --- what happens to nodes ---------------------------------------------------------------

    def start(self, node):
        if not node.process.is_running():
            self.log(f"start {node.number}")
            node.start()

    def kill(self):
        node = self.some_node()
        self.log(f"kill -9 {node.number}")
        node.kill()
        self.lasting(self.while_short(), lambda: self.start(node))

    def kill_all(self):
        """As when the power fails."""
        self.log("kill -9 of all")
        for node in self.cluster.nodes.values():
            node.kill()
        for node in self.cluster.nodes.values():
            self.lasting(self.chance.uniform(0, 3), lambda n=node: self.start(n))

    def restart(self):
        node = self.some_node()
        if node.process.is_running():
            self.log(f"restart {node.number}")
            node.thaw()
            node.stop(20)
            node.start()

    def freeze(self):
        node = self.some_node()
        seconds = min(self.chance.expovariate(0.4) + 0.05, self.freeze_seconds_max)
        if self.chance.random() < 0.1:
            seconds = self.chance.uniform(seconds, self.freeze_seconds_max)
        self.log(f"freeze {node.number} for {seconds:.1f} s")
        node.freeze()
        self.lasting(seconds, node.thaw)

    # --- what happens to the network ---------------------------------------------------------

    def part(self):
        sides = {}
        for number in self.cluster.nodes:
            sides.setdefault(self.chance.randrange(3), []).append(number)
        self.log(f"part {list(sides.values())}")
        self.cluster.proxy.part(*sides.values())
        self.lasting(self.while_short(), self.cluster.proxy.rejoin)

    def rule(self, source, target, seconds, usual, **what):
        self.log(f"{source} to {target}: {what}")
        self.cluster.proxy.rule(source, target, **what)
        self.lasting(seconds, lambda: self.cluster.proxy.rule(source, target, **usual))

    def one_way(self):
        source, target = self.some_two()
        self.rule(source, target, self.while_short(), {"stopped": False}, stopped=True)

    def mute(self):
        """Nothing that a node says arrives anywhere, but it hears the others."""
        source = self.some_node().number
        seconds = self.while_short()
        for target in self.cluster.nodes:
            if target != source:
                self.rule(source, target, seconds, {"stopped": False}, stopped=True)

    def cut(self):
        source, target = self.some_two()
        after = int(10 ** self.chance.uniform(0, 5.5))
        self.rule(source, target, self.while_short(), {"cut_after": None}, cut_after=after)

    def cut_everything(self):
        self.log("cut all")
        self.cluster.proxy.cut_all()

    def delay(self):
        source, target = self.some_two()
        seconds = 10 ** self.chance.uniform(-3, 0)
        self.rule(source, target, self.while_short(), {"delay": 0.0}, delay=seconds)

    def throttle(self):
        source, target = self.some_two()
        rate = int(10 ** self.chance.uniform(3, 6))
        usual = {"bytes_per_second": None}
        self.rule(source, target, self.while_short(), usual, bytes_per_second=rate)
