#!/usr/bin/env python3
"""What an operator meets after damage: a refusal that names thing and remedy, or the truth."""

import contextlib
import os
import random
import shutil

from load import Producer, check_producer
from weir_test import Failure, Server, event_key, expect, expect_equal, main, test, wait_until

PLAIN = {"WEIR_COMPRESSION": "none"}  # so that a file's size follows from what is in it
TORN, LOSS = "--drop-torn-log", "--accept-loss"
SIZE = 4000  # bytes of an event


class Loaded:
    """A data directory as kill -9 under load leaves it, and copies of it to damage."""

    def __init__(self, folder, count):
        self.folder, self.copies = folder, 0
        server = Server(folder, env=PLAIN)
        self.producer = Producer(server, "p", "/load", size=SIZE)
        self.producer.process.stdout.wait_count(count, 30)
        server.kill()
        self.ids = self.producer.broken_off()
        self.data = server.data

    def copy(self):
        """A server, not started, over a copy; and the copy's write-ahead logs, oldest first."""
        self.copies += 1
        folder = os.path.join(self.folder, f"copy{self.copies}")
        shutil.copytree(self.data, os.path.join(folder, "data"))
        return Server(folder, start=False, env=PLAIN), files(folder, "log", ".log")

    def check(self, server, least=0):
        """What is served is a prefix of what was sent, and new ids are above all that were."""
        events = server.events("-n", "/load")
        expect(len(events) >= least, f"{len(events)} events, expected {least}")
        kept = min(len(events), len(self.ids))
        check_producer("p", self.ids[:kept], events, self.producer.line)
        used = max(event_key(i) for i in self.ids + [event["id"] for event in events])
        new = server.produce("/new", "x")
        expect(event_key(new[0]) > used, "an id was given out again", new, used)
        expect_equal([e["id"] for e in server.events()], [e["id"] for e in events] + new, "ids")
        expect_equal(server.status()["events"], len(events) + 1, "events in status")
        server.restart()  # without any flag that helped it up
        expect_equal([e["id"] for e in server.events()], [e["id"] for e in events] + new, "ids")
        server.stop()
        return len(events)


def files(folder, part, suffix):
    """The files of that kind in the data directory that hold anything, oldest first."""
    path = os.path.join(folder, "data", part)
    names = sorted(name for name in os.listdir(path) if name.endswith(suffix))
    paths = [os.path.join(path, name) for name in names]
    return [path for path in paths if os.path.getsize(path)]


def flip(path, part):
    """Flips one bit at that part of the file."""
    at = int(os.path.getsize(path) * part)
    with open(path, "r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1]))


def refused(server, *names):
    """It does not start, with exit status 1, and its last line names all this."""
    with contextlib.suppress(Failure):
        server.start()
    text = server.process.stderr.text()
    expect("ready:" not in text, "it started", text)
    expect_equal(server.process.wait(), 1, "exit status")
    last = text.strip().splitlines()[-1]
    for name in names:
        expect(name in last, f"{name} is not named", last)
    return last


def start_with(server, *options):
    """Starts once with these flags; returns what it said."""
    kept, server.options = server.options, [*server.options, *options]
    server.start()
    server.options = kept
    return server.process.stderr.text()


# --- The write-ahead log ---------------------------------------------------------------------


@test
def the_newest_log_cut_short_loses_what_was_cut_and_nothing_else(folder):
    loaded = Loaded(folder, 600)
    for part in (0.95, 0.6, 0.2):
        server, logs = loaded.copy()
        size = int(os.path.getsize(logs[-1]) * part)
        gone = os.path.getsize(logs[-1]) - size
        os.truncate(logs[-1], size)
        server.start()
        # One commit, of up to all that was in flight, is gone with its end.
        loaded.check(server, len(loaded.ids) - gone // SIZE - 2 * 256)


@test
def zeros_or_garbage_behind_the_newest_log_lose_nothing(folder):
    loaded = Loaded(folder, 600)
    refusals = 0
    garbage = random.Random(1).randbytes(100_000)
    for more in (bytes(7), bytes(100_000), garbage, b"\1" * 100, garbage[:11]):
        server, logs = loaded.copy()
        with open(logs[-1], "ab") as file:
            file.write(more)
        try:
            server.start()
        except Failure:
            refused(server, logs[-1], TORN)
            said = start_with(server, TORN)
            expect(f"of {logs[-1]} on" in said and "dropped" in said, "not said", said)
            refusals += 1
        loaded.check(server, len(loaded.ids))
    expect(refusals > 0, "no garbage was noticed")


@test
def a_flipped_bit_in_the_newest_log_is_refused_and_what_follows_can_be_dropped(folder):
    loaded = Loaded(folder, 600)
    server, logs = loaded.copy()
    at = os.path.getsize(logs[-1]) // 2
    flip(logs[-1], 0.5)
    refused(server, logs[-1], "at byte", TORN)
    server.options = [LOSS]
    refused(server, logs[-1], TORN)  # that is another remedy
    server.options = []
    said = start_with(server, TORN)
    expect(f"of {logs[-1]} on" in said, "it does not say what it dropped", said)
    count = loaded.check(server, (at // SIZE - 2 * 256) // 2)
    expect(count < len(loaded.ids), "nothing is missing")
    expect(f"above counter {count} are lost" in said, "it does not say what is lost", said)


@test
def an_older_log_cut_short_is_a_hole_that_is_named(folder):
    loaded = Loaded(folder, 5000)
    for keep in (0.5, None):
        server, logs = loaded.copy()
        expect(len(logs) > 1, "only one file: more must be produced here", logs)
        if keep:
            os.truncate(logs[0], int(os.path.getsize(logs[0]) * keep))
        else:
            os.unlink(logs[0])
        last = refused(server, "actor 1", "above counter", LOSS)
        words = last.split()
        above = int(words[words.index("counter") + 1])
        expect((above > 0) == bool(keep), "not where the hole is", last)
        said = start_with(server, LOSS)
        expect(f"loss accepted: events of actor 1 above counter {above}" in said, "not said", said)
        expect_equal(loaded.check(server), above, "events that are left")


@test
def a_flipped_bit_in_an_older_log_is_refused(folder):
    loaded = Loaded(folder, 5000)
    server, logs = loaded.copy()
    flip(logs[0], 0.5)
    refused(server, logs[0], TORN)
    server.options = [TORN]
    refused(server, logs[0], "restore")  # what follows is in tables: no prefix can be had


# --- Tables ----------------------------------------------------------------------------------


def filled(folder):
    """3000 events in ten namespaces, indexed, and stopped cleanly. Returns server and events."""
    server = Server(folder, env=PLAIN)
    for number in range(10):
        lines = [f"{number} {line} ".ljust(500, ".") for line in range(300)]
        server.produce_lines(f"/n/{number}", lines)
    events = server.events()
    expect_equal(len(events), 3000, "events")
    server.stop()
    return server, events


@test
def a_damaged_table_is_an_error_with_a_name_and_an_alarm_and_never_wrong_data(folder):
    server, events = filled(folder)
    good = {event["id"]: event for event in events}
    flip(max(files(folder, "log", ".sst"), key=os.path.getsize), 0.5)
    server.start()
    result = server.weir("consume", "--no-reconnect", "--output", "json", status=1)
    expect("the chunk of events from " in result.stderr, "no chunk is named", result)
    seen = result.json_lines()
    expect_equal(seen, events[: len(seen)], "what was read before")
    expect(0 < len(seen) < len(events), f"{len(seen)} events")
    failed = 0
    for number in range(1, 3001, 50):
        result = server.weir("get", "--output", "json", f"{number}.1", status=None)
        if result.status == 0:
            event = result.json_lines()[0]
            expect_equal(event, good[event["id"]], "an event")
        else:
            expect_equal(result.status, 1, "exit status")
            expect("the chunk of events from " in result.stderr, "no chunk is named", result)
            failed += 1
    expect(0 < failed < 20, f"{failed} of 60 events could not be read")
    rows = server.weir("last", "500", "--output", "json").json_lines()
    expect_equal(rows, events[-500:], "the last events")
    alarms = server.status()["alarms"]
    expect(any("found damage" in alarm for alarm in alarms), "no alarm", alarms)
    new = server.produce("/n/0", "new")  # and it goes on
    expect(event_key(new[0]) > event_key(events[-1]["id"]), "an id was given out again", new)
    server.stop()


@test
def a_damaged_table_found_after_a_crash_is_refused(folder):
    server, events = filled(folder)
    server.start()
    server.kill()
    flip(max(files(folder, "log", ".sst"), key=os.path.getsize), 0.5)
    refused(server, "above counter", f"up to {len(events)}", LOSS)
    server.options = [LOSS]
    refused(server, "tables are damaged", "restore")  # and not again the same advice


@test
def a_damaged_table_of_the_logs_meta_data_is_refused(folder):
    server, _ = filled(folder)
    for path in files(folder, "log", ".sst"):
        flip(path, 0.1)
    refused(server, "log", "restore")


@test
def a_damaged_index_is_built_again(folder):
    server, events = filled(folder)
    index = os.path.join(server.data, "index")
    for damage in ("flip", "cut", "remove", "all"):
        if damage == "all":
            shutil.rmtree(index)
        for path in files(folder, "index", ".sst") if damage != "all" else ():
            if damage == "flip":
                flip(path, 0.3)
            elif damage == "cut":
                os.truncate(path, os.path.getsize(path) // 2)
            else:
                os.unlink(path)
        server.start()
        said = server.process.stderr.text()
        expect(damage == "all" or "the index is built again" in said, "no word of it", said)
        rows = server.weir("namespaces", "--output", "json").json_lines()
        expect_equal([(row["namespace"], row["events"]) for row in rows],
                     [(f"/n/{number}", 300) for number in range(10)], "namespaces")
        expect_equal(server.events("-n", "/n/7"), events[2100:2400], "events of a namespace")
        wait_until(lambda: server.status()["index_behind"] == 0, "the index to follow")
        expect_equal(server.status()["alarms"], [], "alarms")
        server.stop()


# --- What a node knows of itself -------------------------------------------------------------


@test
def a_directory_without_its_identity_or_its_log_is_refused(folder):
    server, events = filled(folder)
    identity = os.path.join(server.data, "identity")
    log = os.path.join(server.data, "log")
    aside = os.path.join(folder, "aside")
    shutil.move(identity, aside)
    refused(server, identity, "missing", "restore")
    for bad in (b"", b"\0" * 200, random.Random(2).randbytes(200)):
        with open(identity, "wb") as file:
            file.write(bad)
        refused(server, identity, "restore")
    shutil.move(aside, identity)
    shutil.move(log, aside)
    refused(server, log, "missing", "restore")
    os.mkdir(log)  # as an empty mount point would be
    refused(server, log, "missing", "restore")
    os.rmdir(log)
    shutil.move(aside, log)
    server.start()
    expect_equal(server.events(), events, "events")
    server.stop()


if __name__ == "__main__":
    main()
