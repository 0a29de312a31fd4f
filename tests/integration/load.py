"""Load for tests: producers whose acknowledgements are known line by line, and readers' checks.

A producer is `weir produce --lines -`: it prints the id of each event as soon as that one is
acknowledged, in the order of its input. So line n of its output is the id of line n of its input,
whatever happens to the server.
"""

import subprocess
import threading

from weir_test import event_key, expect


class Producer:
    """Feeds numbered lines "<name> <n>" to one namespace until told to stop or the command ends.

    With a pace it feeds so many lines a second, else as many as the server takes."""

    def __init__(
        self, server, name, namespace, in_flight=256, count=None, size=0, options=(), pace=None,
        words=None,
    ):  # fmt: skip
        self.name, self.namespace = name, namespace
        self.count, self.size, self.pace = count, size, pace
        self.fed = 0
        self.broken = None  # why feeding ended early
        self.stopping = threading.Event()
        self.process = server.weir_start(
            *("produce", *(words or ("-n", namespace, "--lines", "-"))),
            *("--in-flight", str(in_flight), *options),
            stdin=subprocess.PIPE,
        )
        self.feeder = threading.Thread(target=self._feed, daemon=True)
        self.feeder.start()

    def line(self, number):
        return f"{self.name} {number}".ljust(self.size, ".")

    def _feed(self):
        pipe = self.process.popen.stdin
        try:
            while not self.stopping.is_set() and self.fed != self.count:
                more = min(100, self.pace // 20 + 1) if self.pace else 100
                more = min(more, self.count - self.fed) if self.count else more
                lines = "".join(self.line(self.fed + i) + "\n" for i in range(more)).encode()
                while lines:
                    lines = lines[pipe.write(lines) :]
                self.fed += more
                if self.pace:
                    self.stopping.wait(more / self.pace)
        except OSError as error:
            self.broken = error  # the command has ended
        finally:
            try:
                pipe.close()
            except OSError:
                pass

    def is_running(self):
        return self.process.is_running()

    def acknowledged(self):
        """Ids so far; the n-th belongs to line n."""
        return self.process.stdout.lines()

    def finish(self, seconds=60):
        """Feeds the rest of `count`, or stops; waits for all acknowledgements, returns the ids."""
        if not self.count:
            self.stopping.set()
        status = self.process.wait(seconds)
        expect(status == 0, f"produce: exit {status}", self.process.stderr.text()[-2000:])
        expect(
            not self.count or self.fed == self.count,
            f"{self.fed} lines of {self.count} fed: {self.broken!r}",
        )
        ids = self.acknowledged()
        expect(len(ids) == self.fed, f"{self.fed} lines fed, {len(ids)} ids printed")
        return ids

    def broken_off(self, seconds=20):
        """After the server was killed: the command fails by itself; returns the ids."""
        self.stopping.set()
        status = self.process.wait(seconds)
        expect(status != 0, "produce ended well although its server was killed")
        return self.acknowledged()


def check_producer(name, acknowledged, events, line):
    """The events of one producer, in the order read: a prefix of its lines, all acknowledged in it.

    One connection, so what is stored is a prefix; what was acknowledged is in it, with its id."""
    expect(
        len(events) >= len(acknowledged),
        f"{name}: {len(acknowledged)} acknowledged, {len(events)} stored",
    )
    for number, event in enumerate(events):
        expect(event["data"] == line(number), f"{name}: not its line {number}", event)
        if number < len(acknowledged):
            expect(event["id"] == acknowledged[number], f"{name}: another id", event)


def by_namespace(events):
    found = {}
    for event in events:
        found.setdefault(event["namespace"], []).append(event)
    return found


def check_unique(events):
    ids = [event_key(event["id"]) for event in events]
    expect(len(set(ids)) == len(ids), "an id appears twice")
    return set(ids)
