#!/usr/bin/env python3
"""Servers and consumers that stop, die and come back."""

import json
import os
import signal

from load import Producer
from weir_test import REDUCED, Server, expect, expect_equal, main, test, wait_until

COUNT = 500 if REDUCED else 5000


def numbers(lines):
    return [json.loads(line)["data"] for line in lines]


@test
def consumers_reconnect_and_resume_after_a_clean_restart(folder):
    server = Server(folder)
    tails = [
        server.weir_start("consume", "-t", "--output", "json", *options)
        for options in ((), ("-n", "/a/*"), ("-n", "/a/b", "--heartbeat", "100"))
    ]
    expected = []
    for part in range(3):
        lines = [f"{part}-{n}" for n in range(100)]
        server.produce_lines("/a/b", lines)
        expected += lines
        for tail in tails:
            tail.stdout.wait_count(len(expected), 20)
        server.restart()
    server.produce_lines("/a/b", ["last"])
    for tail in tails:
        found = numbers(tail.stdout.wait_lines(len(expected) + 1, 20))
        expect_equal(found, expected + ["last"], "what a consumer saw")
        expect(tail.is_running(), "a tail ended")
        expect("connect" in tail.stderr.text(), "no word of reconnecting", tail.stderr.text())


@test
def consumers_resume_after_kill_9_of_the_server(folder):
    server = Server(folder)
    tail = server.weir_start("consume", "-t", "--output", "json")
    expected = []
    for part in range(3):
        lines = [f"{part}-{n}" for n in range(100)]
        server.produce_lines("/a/b", lines)
        expected += lines
        tail.stdout.wait_count(len(expected) if part else 1, 20)
        server.kill()
        server.start()
    found = numbers(tail.stdout.wait_lines(len(expected), 20))
    expect_equal(found, expected, "what the consumer saw")


@test
def no_reconnect_ends_with_an_error(folder):
    server = Server(folder)
    server.produce("/a/b", "one")
    tail = server.weir_start("consume", "-t", "--no-reconnect", "--output", "json")
    tail.stdout.wait_count(1)
    server.stop()
    status = tail.wait()
    expect(status in (1, 3), f"exit {status}", tail.stderr.text())
    expect(tail.stderr.text().strip(), "no word about why it ended")


@test
def a_cursor_file_resumes_without_gap_after_kill_9_of_the_consumer(folder):
    server = Server(folder)
    producer = Producer(server, "p", "/a/b", count=COUNT)
    cursor_file = os.path.join(folder, "cursor")
    seen, lives = [], 0
    while len(set(seen)) < COUNT and lives < 100:
        lives += 1
        consumer = server.weir_start(
            *("consume", "-t", "--output", "json", "--cursor-file", cursor_file)
        )
        consumer.stdout.wait_count(1, 20)
        left = COUNT - len(set(seen))
        consumer.stdout.wait_count(min(left, lives * COUNT // 20) if lives < 6 else left, 30)
        consumer.kill()
        consumer.stdout.thread.join(10)
        new = numbers(consumer.stdout.lines())
        if seen:
            # It goes on behind what was printed, or repeats what was not yet in the file.
            first = int(new[0].split()[1])
            expect(first <= len(set(seen)), f"a gap before {new[0]}", seen[-1])
        seen += new
    producer.finish()
    expect_equal(sorted(set(seen), key=lambda s: int(s.split()[1])),
                 [producer.line(n) for n in range(COUNT)], "everything seen")


@test
def a_cursor_file_of_an_idle_tail_is_up_to_date(folder):
    server = Server(folder)
    cursor_file = os.path.join(folder, "cursor")
    tail = server.weir_start(*("consume", "-t", "--output", "raw", "--cursor-file", cursor_file))

    def is_written():
        with open(cursor_file, encoding="ascii") as file:
            return file.read().strip() == server.status()["cursor"]

    for turn in range(1, 6):
        # The second comes too soon after the first to be written at once, and nothing comes after.
        Producer(server, "p", "/a/b", in_flight=1, count=2).finish()
        tail.stdout.wait_count(2 * turn)
        wait_until(is_written, "the cursor of all that was printed")


@test
def a_cursor_file_of_a_finished_consumer_repeats_nothing(folder):
    server = Server(folder)
    cursor_file = os.path.join(folder, "cursor")
    server.produce("/a/b", "one", "two")
    options = ("consume", "--output", "json", "--cursor-file", cursor_file)
    expect_equal(numbers(server.weir(*options).lines), ["one", "two"], "the first run")
    expect_equal(numbers(server.weir(*options).lines), [], "the second run")
    server.produce("/a/b", "three")
    expect_equal(numbers(server.weir(*options).lines), ["three"], "the third run")
    with open(cursor_file, encoding="utf-8") as file:
        expect(file.read().startswith("@"), "the file holds no cursor")


@test
def ctrl_c_writes_the_cursor_and_exits_130(folder):
    server = Server(folder)
    cursor_file = os.path.join(folder, "cursor")
    server.produce("/a/b", "one", "two")
    tail = server.weir_start("consume", "-t", "--output", "json", "--cursor-file", cursor_file)
    tail.stdout.wait_count(2)
    tail.signal(signal.SIGINT)
    expect_equal(tail.wait(), 130, "exit status")
    server.produce("/a/b", "three")
    found = server.weir("consume", "--output", "json", "--cursor-file", cursor_file).lines
    expect_equal(numbers(found), ["three"], "what was left")


if __name__ == "__main__":
    main()
