#!/usr/bin/env python3
"""Consuming by attributes and time: the same events from memory, from the disk and as they come."""

import itertools
import json
import os

from weir_test import REDUCED, Server, expect, expect_equal, main, test, wait_until

USERS = 7
TYPES = ("new", "changed", "gone")
COUNT = 300 if REDUCED else 3000


def event(number):
    """A namespace of 20; two attributes, one of them twice for some; none for every fifth."""
    attributes = {"type": TYPES[number % 3], "user": str(number % USERS)}
    return {
        "namespace": f"/orders/{number % 20}",
        "data": str(number),
        "attributes": attributes if number % 5 else None,
    }


def produce(server, numbers):
    text = "".join(json.dumps(event(number)) + "\n" for number in numbers)
    server.weir("produce", "--json", "-", "--quiet", stdin=text, seconds=60)


def matching(numbers, namespace=None, **wanted):
    found = []
    for number in numbers:
        made = event(number)
        attributes = made["attributes"] or {}
        is_named = namespace is None or made["namespace"] == namespace
        if is_named and all(attributes.get(key) == value for key, value in wanted.items()):
            found.append(made["data"])
    return found


def options(namespace=None, **wanted):
    words = ["-n", namespace] if namespace else []
    return words + [word for pair in wanted.items() for word in ("--attr", "=".join(pair))]


WANTED = (
    {"type": "new"},
    {"type": "gone", "user": "3"},
    {"namespace": "/orders/7", "type": "changed"},
    {"type": "ne"},
    {"user": ""},
)


def check(server, numbers):
    """Every kind of place to start from, against the same list."""
    for wanted in WANTED:
        expected = matching(numbers, **wanted)
        words = options(**wanted)

        def consumed(*more, words=words):
            return [made["data"] for made in server.events(*words, *more)]

        expect_equal(consumed(), expected, f"events with {wanted}")
        expect_equal(consumed("--last", "4"), expected[-4:], f"the last with {wanted}")
        expect_equal(consumed("-l", "3"), expected[:3], f"the first with {wanted}")
        expect_equal(consumed("--order", "stable"), expected, f"in stable order, with {wanted}")
        expect_equal(consumed("--not-before", "1h"), expected, f"of this hour, with {wanted}")
        expect_equal(consumed("--not-before", "2199-01-01T00:00:00Z"), [], "of the future")


@test
def attributes_select_the_same_events_from_memory_and_disk(folder):
    server = Server(folder)
    produce(server, range(COUNT))
    check(server, range(COUNT))
    server.restart()
    check(server, range(COUNT))
    produce(server, range(COUNT, 2 * COUNT))
    server.kill()
    server.start()
    produce(server, range(2 * COUNT, 2 * COUNT + 50))
    # The index waits for whoever asks for namespaces: from then on it knows all of this.
    server.weir("namespaces")
    check(server, range(2 * COUNT + 50))
    server.stop()


@test
def a_tail_gets_what_matches_as_it_comes(folder):
    server = Server(folder)
    produce(server, range(100))
    tails = []
    for wanted in WANTED[:3]:
        words = ("consume", "-t", "--output", "raw", *options(**wanted))
        tails.append((wanted, server.weir_start(*words)))
    done = 100
    for size in itertools.chain([1] * 20, [200] * 3):
        produce(server, range(done, done + size))
        done += size
    for wanted, tail in tails:
        expected = matching(range(done), **wanted)
        tail.stdout.wait_line(f"^{expected[-1]}$")
        expect_equal(tail.stdout.text().split(), expected, f"the tail with {wanted}")
        expect(tail.is_running(), "the tail ended")
    server.stop()


@test
def a_cursor_passes_what_does_not_match(folder):
    server = Server(folder)
    path = os.path.join(folder, "cursor")
    got = []
    for first in range(0, 600, 150):
        produce(server, range(first, first + 150))
        found = server.events(*options(type="gone", user="3"), "--cursor-file", path)
        got += [made["data"] for made in found]
    expect_equal(got, matching(range(600), type="gone", user="3"), "events over four runs")
    with open(path, encoding="utf-8") as file:
        cursor = file.read().strip()
    expect_equal(server.events("--from", cursor), [], "what the cursor has not passed")
    server.stop()


@test
def a_time_leaves_out_what_is_older(folder):
    server = Server(folder)
    produce(server, range(30))
    first = server.events("-l", "1")[0]["timestamp"]

    # From the next millisecond on: a clock that has not moved gives the same timestamp.
    def is_later():
        produce(server, [0])
        return server.events("--last", "1")[0]["timestamp"] > first

    wait_until(is_later, "a later timestamp")
    events = server.events()
    time = events[-1]["timestamp"]
    expected = [made["data"] for made in events if made["timestamp"] >= time]
    expect(len(expected) < len(events), "nothing is older", events)
    for _ in range(2):
        found = server.events("--not-before", time)
        expect_equal([made["data"] for made in found], expected, f"events from {time} on")
        found = server.events("--not-before", time, "--from", "beginning", "-n", "/orders/0")
        expect_equal([made["data"] for made in found], expected, "the same by name")
        server.restart()
    server.stop()


if __name__ == "__main__":
    main()
