"""kill -9 of the server under load, again and again.

Each round starts the server over the same directory, lets producers run, kills it at a random
moment, starts it again and reads everything of the round back. Held to:
  every acknowledged event is there, with the id it was acknowledged under;
  every event is there once, no id appears twice over all rounds;
  what one connection produced is there without a hole (a prefix of it);
  what earlier rounds left has not changed (read in full at the end).
"""

import random
import select

from load import Producer, by_namespace, check_producer, check_unique
from weir_test import Server, event_key, expect, expect_equal

PRODUCERS = 3


class KillLoop:
    """State over the rounds."""

    def __init__(self, folder, seed, options=()):
        self.random = random.Random(seed)
        self.server = Server(folder, *options)
        self.kept = []  # (id, namespace, data) of all rounds so far
        self.ids = set()
        self.cursor = "@"
        self.acknowledged = 0

    def one_round(self, number):
        producers = [
            Producer(
                self.server,
                f"r{number}-p{n}",
                f"/kill/{number}/{n}",
                in_flight=self.random.choice((1, 16, 1000)),
                size=self.random.choice((0, 100, 2000)),
            )
            for n in range(PRODUCERS)
        ]
        producers[-1].process.stdout.wait_count(1, 20)
        select.select([], [], [], self.random.uniform(0, 0.4))  # the moment is the test's input
        self.server.kill()
        acknowledged = [producer.broken_off() for producer in producers]
        self.server.start()
        events = self.server.events("--from", self.cursor)
        self.check_round(number, producers, acknowledged, events)

    def check_round(self, number, producers, acknowledged, events):
        streams = by_namespace(events)
        for producer, ids in zip(producers, acknowledged):
            found = streams.pop(producer.namespace, [])
            check_producer(producer.name, ids, found, producer.line)
            self.acknowledged += len(ids)
        expect(not streams, f"round {number}: events nobody produced", list(streams))
        ids = check_unique(events)
        expect(not ids & self.ids, f"round {number}: ids that an earlier round used")
        if ids and self.ids:
            expect(min(ids) > max(self.ids), f"round {number}: ids below those of earlier rounds")
        self.ids |= ids
        self.kept += [(event["id"], event["namespace"], event["data"]) for event in events]
        if self.kept:
            counter, actor = event_key(self.kept[-1][0])
            self.cursor = f"@{counter}.{actor}"

    def finish(self):
        """Reads everything once more, over a clean restart."""
        self.server.restart()
        found = [(e["id"], e["namespace"], e["data"]) for e in self.server.events(seconds=600)]
        expect_equal(len(found), len(self.kept), "number of events at the end")
        expect(found == self.kept, "the log at the end is not what the rounds read")
        expect_equal(self.server.status()["events"], len(found), "events that status counts")
        self.server.stop()
