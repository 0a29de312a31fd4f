"""What consumers that were killed at any moment have left, and what must hold of it.

All consumers of one subscription append to one file, so its lines stand in the order in which
events were handled. A line is that of examples/worker (id, attempt, data), or that of group_member,
which says also who wrote it, and whether the event was refused, or an event as JSON. A line that
begins with # is a mark of whoever runs the test.
"""

import collections
import json

from weir_test import expect

KEYS = {"spaces": 0, "colours": 1}  # where in the data the key stands; "plain" has none


def data_of(writer, number, space, colour):
    """Unique, with all that may be a key."""
    return f"{space}:{colour}:{writer}:{number}"


class Handled:
    """The file of one subscription, read as it grows."""

    def __init__(self, name, path):
        self.name, self.path = name, path
        self.key = KEYS.get(name)
        self.offset = 0
        self.counts = collections.Counter()  # of ids, as text
        self.data = {}
        self.refused = 0
        self.orders = 0  # how many events were looked at for their order
        self.calm = None  # (key, actor) -> counter, while only consumers fail
        self.disorder = []  # what was wrong since the calm began
        self.seen = set()  # ids that were handled or refused
        self.segments = collections.defaultdict(dict)  # of a member -> (key, actor) -> counter
        with open(path, "wb"):
            pass

    def mark(self, text):
        with open(self.path, "ab") as file:
            file.write(f"# {text}\n".encode())

    def read(self):
        with open(self.path, "rb") as file:
            file.seek(self.offset)
            data = file.read()
        data = data[: data.rfind(b"\n") + 1]
        self.offset += len(data)
        for line in data.decode().splitlines():
            if line.startswith("#"):
                self.calm = {} if line == "# calm" else None
            else:
                self.take(line)

    def take(self, line):
        if line.startswith("{"):
            event = json.loads(line)
            line = f"{event['id']} {event['attempt']} {event['data']}"
        words = line.split(" ")
        expect(len(words) >= 3 and len(words[0]) == 25, f"{self.name}: not a line", line)
        text, attempt, data = words[0], int(words[1]), words[2]
        expect(
            self.data.setdefault(text, data) == data,
            f"{self.name}: {text} is not the event that it was",
            line,
        )
        key = (data.split(":")[self.key] if self.key is not None else "", text[20:])
        is_first = text not in self.seen
        self.seen.add(text)
        if self.key is not None:
            if is_first and self.calm is not None:
                self.check_calm(key, text, line)
            if attempt == 1 and len(words) > 3:
                self.check_segment(key, text, words[3], line)
        if words[-1] == "refused":
            self.refused += 1
        else:
            self.counts[text] += 1

    def check_calm(self, key, text, line):
        """Nobody but consumers failed: of one key, who gets it goes on where the last one was."""
        before = self.calm.get(key, "")
        self.calm[key] = max(text, before)
        self.orders += 1
        if text < before:
            self.disorder.append((line, before))

    def check_segment(self, key, text, writer, line):
        """One consumer, one coordinator: what it gets for the first time is in order."""
        seen = self.segments[writer]
        self.orders += 1
        expect(
            text > seen.get(key, ""),
            f"{self.name}: out of order at one consumer of one coordinator",
            line,
            seen.get(key),
        )
        seen[key] = text

    def repeats(self):
        return sum(self.counts.values()) - len(self.counts)


class Bound:
    """How many events may come again: what was in flight, and what no checkpoint says yet."""

    def __init__(self, checkpoint_every, in_flight):
        self.checkpoint_every, self.in_flight = checkpoint_every, in_flight
        self.events = 0

    def consumer_failed(self):
        self.events += self.in_flight

    def node_failed(self, consumers):
        """Its consumers go elsewhere, the group goes to another node, and comes back to it. As much
        as a checkpoint covers is acknowledged while the one before is on its way to the others."""
        self.events += 2 * (2 * self.checkpoint_every + consumers * self.in_flight)
