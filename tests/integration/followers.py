"""Consumers that follow a cluster for a long time and hop between its nodes with their cursor file.

A leg is one `weir consume --tail` on one node; SIGTERM ends it, and the next leg goes on elsewhere
behind the cursor that it left. Whatever happens to the nodes, a follower must see every event that
matches exactly once; one that reads in stable order sees them in the order of their ids.
"""

import collections
import os
import re
import signal

from weir_test import Failure, event_key, expect, processes

ID = re.compile(rb'^\{"id":"(\d{25})","namespace":"([^"]+)"')
LEGS_KEPT = 20
CANNOT_CONNECT = 3


class Sightings:
    """What each id was when somebody saw it first: an id stands for one event for ever."""

    def __init__(self):
        self.lines = {}

    def add(self, text, line, who):
        """`line` is the event as JSON; the same on every node, byte by byte."""
        seen = self.lines.setdefault(text, hash(line))
        expect(seen == hash(line), f"{who}: id {text} is not the event that it was", line)


class Follower:
    """One subscription over many legs."""

    def __init__(self, name, folder, sightings, order="arrival", pattern=None):
        self.name, self.sightings = name, sightings
        self.order, self.pattern = order, pattern
        self.cursor_file = os.path.join(folder, f"cursor-{name}")
        self.seen = set()
        self.newest = (0, 0)
        self.process = None
        self.reconnects = True
        self.legs = collections.deque(maxlen=LEGS_KEPT)  # for whoever looks at a failure

    def cursor(self):
        if not os.path.exists(self.cursor_file):
            return None
        with open(self.cursor_file, encoding="ascii") as file:
            return file.read().strip()

    def start(self, node, reconnects=True, window=4096):
        """The next leg; the window in KiB."""
        self.reconnects = reconnects
        self.process = node.weir_start(
            *("consume", "--tail", "--output", "json", "--order", self.order),
            *("--cursor-file", self.cursor_file, "--batch", str(window)),
            *(("-n", self.pattern) if self.pattern else ()),
            *(() if reconnects else ("--no-reconnect",)),
        )
        self.legs.append({"node": node.number, "from": self.cursor()})

    def freeze(self):
        """It takes nothing any more, until its leg ends."""
        if self.process:
            self.process.signal(signal.SIGSTOP)

    def check_alive(self):
        """One that reconnects goes on until it is told to end, once it was connected."""
        if not self.process or not self.reconnects or self.process.is_running():
            return
        status = self.process.wait()
        said = self.process.stderr.text()
        if status == CANNOT_CONNECT and said.count("\n") == 1 and not self.process.stdout.data:
            return
        raise Failure(f"{self.name} ended by itself, exit {status}: {said[-2000:]}")

    def end_leg(self):
        """Ends the process and takes what it printed."""
        if not self.process:
            return
        self.process.signal(signal.SIGTERM)
        self.process.signal(signal.SIGCONT)
        status = self.process.wait(20)
        lines = bytes(self.process.stdout.data).splitlines(keepends=True)
        self.legs[-1].update(
            status=status, events=len(lines), to=self.cursor(), said=self.process.stderr.text()
        )
        for line in lines:
            self.take(line)
        self.process.close()
        if self.process in processes:
            processes.remove(self.process)
        self.process = None

    def take(self, line):
        match = ID.match(line)
        expect(match and line.endswith(b"\n"), f"{self.name}: not the line of an event", line)
        text = match.group(1).decode()
        expect(text not in self.seen, f"{self.name}: {text} came twice", line, list(self.legs))
        self.seen.add(text)
        self.sightings.add(text, line, self.name)
        if self.order == "stable":
            key = event_key(text)
            expect(
                key > self.newest,
                f"{self.name}: {text} came behind a higher id in stable order",
                self.newest,
                list(self.legs),
            )
            self.newest = key

    def wants(self, namespace):
        """Patterns of followers are exact, or end in one star."""
        if not self.pattern:
            return True
        if self.pattern.endswith("*"):
            return namespace.startswith(self.pattern[:-1])
        return namespace == self.pattern
