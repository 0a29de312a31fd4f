#!/usr/bin/env python3
"""The weir command and durable subscriptions: consuming, acknowledging, running commands."""

import json
import os
import signal
import socket
import stat
import subprocess

from weir_test import (
    CLI,
    Process,
    Server,
    expect,
    expect_equal,
    free_port,
    main,
    run_weir,
    test,
    wait_until,
)

OK, FAILED, USAGE, NO_CONNECTION, NOT_FOUND = 0, 1, 2, 3, 5


def show(server, name):
    row = json.loads(server.weir("subscriptions", "show", name, "--output", "json").stdout)
    expect_equal(row["name"], name, "the name of what is shown")
    return row


def wait_for(server, name, what, **fields):
    """Waits until it is there and these fields of it are so."""

    def is_so():
        shown = server.weir("subscriptions", "show", name, "--output", "json", status=None)
        row = json.loads(shown.stdout) if shown.status == OK else {}
        return row and all(row[key] == value for key, value in fields.items())

    wait_until(is_so, what)


def produce_at_two_times(server):
    """Produces to /t. The first event, and the last, which alone has a later time."""

    def produce_one():
        server.produce("/t", "x")
        return server.events("-n", "/t", "--last", "1")[0]

    first = produce_one()
    return first, wait_until(
        lambda: (event := produce_one())["timestamp"] > first["timestamp"] and event,
        "an event with a later time",
    )


def expect_done(server, name):
    """Nothing that was produced before comes again."""
    server.produce("/afterwards", "the next")
    expect_equal(consume(server, name, "-l", "1").lines, ["the next"])


def consume(server, name, *options, **more):
    return server.weir("consume", "--subscription", name, "--output", "raw", *options, **more)


def script(folder, text):
    path = os.path.join(folder, "command")
    with open(path, "w", encoding="utf-8") as file:
        file.write("#!/bin/sh\n" + text)
    os.chmod(path, os.stat(path).st_mode | stat.S_IXUSR)
    return path


def read(*path):
    try:
        with open(os.path.join(*path), encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return ""


# --- consume -------------------------------------------------------------------------------------


@test
def what_was_printed_does_not_come_again(folder):
    server = Server(folder)
    server.produce("/a", *"abcde")
    first = consume(server, "s", "-l", "2")
    expect_equal(first.lines, ["a", "b"])
    expect("created the subscription s" in first.stderr, "nothing about its creation", first)
    second = consume(server, "s", "-l", "2", "-n", "/other")
    expect_equal(second.lines, ["c", "d"])
    there = "weir: the subscription s was there already: its start and options"
    expect(there in second.stderr, "nothing about what was there", second)
    expect("options" in second.stderr, "nothing about options that were passed over", second)
    server.restart()
    expect_equal(consume(server, "s", "-l", "1").lines, ["e"])
    expect(show(server, "s")["lag_events"] <= 1, "the lag", show(server, "s"))
    server.stop()


@test
def a_subscription_begins_where_it_is_told(folder):
    server = Server(folder)
    ids = server.produce("/a", *"abc")
    server.produce("/b", "x")
    for number, (options, expected) in enumerate(
        (
            (("--from", "beginning"), "a"),
            (("-s", ids[0]), "b"),
            (("--from", ids[2]), "c"),
            (("--from", "@2.1"), "c"),
            (("--since", "1h"), "a"),
            (("-n", "/b"), "x"),
            (("-n", "/c", "-n", "/b", "--order", "stable"), "x"),
        )
    ):
        expect_equal(consume(server, f"s{number}", "-l", "1", *options).lines, [expected], options)
    server.stop()


@test
def what_is_filtered_out_is_passed(folder):
    """From what is there, and as it comes."""
    server = Server(folder)
    wanted, others = ("--attr", "kind=x"), ("--attr", "kind=y", "--attr", "sort=x")
    server.produce("/a", "1", options=others)
    server.produce("/a", "a", "b", options=wanted)
    server.produce("/a", "2")
    process = server.weir_start("consume", "--subscription", "s", "--output", "raw", *wanted)
    process.stdout.wait_lines(2)
    wait_for(server, "s", "all that was there is passed", acknowledged=2, lag_events=0)
    server.produce("/a", "3", options=others)
    server.produce("/a", "c", options=wanted)
    server.produce("/a", "4")
    wait_for(server, "s", "all that came is passed", acknowledged=3, lag_events=0)
    expect_equal(process.stdout.lines(), ["a", "b", "c"])
    server.stop()


@test
def what_is_too_old_is_passed(folder):
    server = Server(folder)
    _, new = produce_at_two_times(server)
    begun = ("consume", "-n", "/t", "--subscription")
    late = server.weir_start(*begun, "late", "--not-before", new["timestamp"], "--output", "json")
    never = server.weir_start(*begun, "never", "--not-before", "2999-01-01T00:00:00Z")
    [line] = late.stdout.wait_lines(1)
    expect_equal(json.loads(line)["id"], new["id"], "the first")
    wait_for(server, "late", "all that was there is passed", acknowledged=1, lag_events=0)
    wait_for(server, "never", "it is coordinated", consumers=1, lag_events=0)
    server.produce("/t", "x")
    wait_for(server, "late", "what came is done", acknowledged=2, lag_events=0)
    wait_for(server, "never", "what came is passed", delivered=0, lag_events=0)
    expect_equal(never.stdout.text(), "", "what is printed of events that are too old")
    server.stop()


@test
def a_killed_consumer_loses_nothing(folder):
    server = Server(folder)
    lines = [f"event {i}" for i in range(5000)]
    server.produce_lines("/a", lines)
    seen = []
    while len(set(seen)) < len(lines):
        process = server.weir_start("consume", "--subscription", "s", "--output", "raw")
        process.stdout.wait_count(700 if len(set(seen)) < 4000 else 1)
        process.kill()
        process.stdout.thread.join(10)
        seen += process.stdout.lines()
    expect_equal(sorted(set(seen)), sorted(lines))
    server.stop()


@test
def what_no_reader_took_is_not_acknowledged(folder):
    """The pipe is full: what did not fit was not printed."""
    server = Server(folder)
    lines = ["x" * 1000 + str(i) for i in range(500)]
    server.produce_lines("/a", lines)
    reader, writer = os.pipe()
    with subprocess.Popen(
        [CLI, "consume", "--subscription", "s", "--output", "raw"],
        env={**os.environ, **server.client_env()},
        stdout=writer,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as process:
        os.close(writer)
        try:
            wait_for(server, "s", "events in flight", in_flight=100)
        finally:
            process.kill()
    with os.fdopen(reader, encoding="utf-8") as file:
        printed = file.read().splitlines()
    rest = consume(server, "s", "-l", str(len(lines) - show(server, "s")["acknowledged"]))
    expect_equal(sorted(set(printed[:-1] + rest.lines)), sorted(lines))
    server.stop()


@test
def sigterm_leaves_in_order(folder):
    server = Server(folder)
    server.produce("/a", "a")
    process = server.weir_start("consume", "--subscription", "s", "--output", "raw")
    process.stdout.wait_lines(1)
    process.signal(signal.SIGTERM)
    expect_equal(process.wait(), 128 + signal.SIGTERM, "exit status")
    server.produce("/a", "b")
    expect_equal(consume(server, "s", "-l", "1").lines, ["b"])
    server.stop()


class Manual:
    """A consumer whose acknowledgements are written to it."""

    def __init__(self, server, *options):
        self.process = server.weir_start(
            "consume",
            *("--subscription", "s", "--ack", "manual", "--output", "json"),
            *options,
            stdin=subprocess.PIPE,
        )

    def events(self, count):
        return [json.loads(line) for line in self.process.stdout.wait_lines(count)]

    def say(self, *lines):
        for line in lines:
            self.process.popen.stdin.write(line.encode() + b"\n")

    def end(self, status=OK):
        self.process.popen.stdin.close()
        expect_equal(self.process.wait(), status, "exit status")


@test
def acknowledgements_are_read_from_standard_input(folder):
    server = Server(folder)
    server.produce("/a", *"abcdef")
    first = Manual(server)
    ids = [event["id"] for event in first.events(6)]
    first.say(f"up-to {ids[1]}", ids[3], "", f"nack {ids[5]} 1h out of stock")
    first.end()
    second = Manual(server)
    events = second.events(2)
    expect_equal([event["data"] for event in events], ["c", "e"])
    second.say(*(event["id"] for event in events))
    second.end()
    third = server.weir_start("consume", "--subscription", "s", "--output", "raw")
    wait_for(server, "s", "one in wait", consumers=1, in_flight=0)
    expect_equal(third.stdout.lines(), [], "what is left")
    server.stop()


@test
def a_limit_with_manual_acknowledgements_ends_when_all_are_decided(folder):
    server = Server(folder)
    server.produce("/a", *"abc")
    consumer = Manual(server, "-l", "2")
    ids = [event["id"] for event in consumer.events(2)]
    consumer.say(ids[1])
    wait_for(server, "s", "one acknowledged", acknowledged=1)
    expect(consumer.process.is_running(), "it has ended before all were decided")
    consumer.say(ids[0])
    expect_equal(consumer.process.wait(), OK, "exit status")
    expect_equal(consume(server, "s", "-l", "1").lines, ["c"])
    server.stop()


@test
def acknowledgements_that_are_none_are_said(folder):
    server = Server(folder)
    server.produce("/a", "a")
    consumer = Manual(server)
    event = consumer.events(1)[0]
    consumer.say("what?", event["id"], "up-to 99.1")
    consumer.end(FAILED)
    said = consumer.process.stderr.text()
    expect("line 1 of standard input" in said, "nothing about the first line", said)
    expect("99" in said, "nothing about what was not handed out", said)
    server.stop()


@test
def refused_events_come_again_and_are_parked(folder):
    server = Server(folder)
    bad = server.produce("/a", "bad")[0]
    consumer = Manual(server, "--attempts", "2")
    consumer.say(f"nack {consumer.events(1)[0]['id']} no use")
    again = consumer.events(2)[1]
    expect_equal((again["id"], again["attempt"]), (bad, 2), "what comes again")
    consumer.say(f"nack {again['id']} 0s no use at all")
    wait_for(server, "s", "one parked", parked=1)
    consumer.end()
    parked = server.events("-n", "/$weir/parked/s")
    expect_equal([event["data"] for event in parked], ["bad"])
    expect_equal(parked[0]["attributes"]["reason"], "no use at all", "the reason")
    expect_equal(parked[0]["attributes"]["from"], "/a", "where it was")
    server.stop()


@test
def keys_and_concurrency_are_kept(folder):
    server = Server(folder)
    first = Manual(server, "--group-key", "1", "--concurrency", "2", "--in-flight", "2")
    first.process.stderr.wait_line("created")
    second = Manual(server, "--in-flight", "2")
    second.process.stderr.wait_line("already")
    third = consume(server, "s", "-l", "1", status=FAILED)
    expect("2" in third.stderr, "the limit is not named", third)
    for text in "abc":
        server.produce("/x/1", text)
        server.produce("/y/1", text)
    row = show(server, "s")
    expect(isinstance(row["lag_ms"], int), "the lag in time of what is coordinated", row)
    attached = row["attached"]
    expect_equal([one["actor"] for one in attached], [1, 1], "who is attached")
    expect(all("weir" in one["client"] for one in attached), "their names", attached)
    taken = [[event["namespace"] for event in one.events(2)] for one in (first, second)]
    expect_equal(sorted(map(tuple, taken)), [("/x/1", "/x/1"), ("/y/1", "/y/1")])
    for one in (first, second):
        one.end()
    server.stop()


# --- subscriptions -------------------------------------------------------------------------------


@test
def subscriptions_are_listed_and_shown(folder):
    server = Server(folder)
    expect_equal(len(server.weir("subscriptions", "list").lines), 1, "the head of an empty list")
    server.produce("/a/b", *"abc")
    create = ("subscriptions", "create", "two", "-n", "/a/*", "--attr", "kind=x=y")
    made = server.weir(*create, "--group-key", "attribute:customer", "--ack-wait", "1m")
    expect_equal(made.lines, ["created two"])
    again = server.weir(*create, status=FAILED)
    expect("two" in again.stderr or "already" in again.stderr, "nothing is said", again)
    consume(server, "one", "-l", "2")
    rows = server.weir("subscriptions", "list", "--output", "json").json_lines()
    expect_equal([row["name"] for row in rows], ["one", "two"])
    expect(rows[0]["lag_events"] < rows[1]["lag_events"], "lags", rows)
    table = server.weir("subscriptions", "list").lines
    expect_equal([line.split()[-1] for line in table], ["NAME", "one", "two"])
    expect_equal(table[2].split()[1], "-", "lag in time of what nobody coordinates")
    expect_equal(rows[1]["lag_ms"], None, "the same in JSON")
    row = show(server, "two")
    expect_equal(row["lag_ms"], None, "the same where it is shown")
    expect_equal(row["patterns"], ["/a/*"], "patterns")
    expect_equal(row["attributes"], [{"key": "kind", "value": "x=y"}], "attributes")
    expect_equal(
        (row["group_key"], row["ack_wait_ms"], row["attempts"], row["order"]),
        ("attribute:customer", 60000, 10, "arrival"),
    )
    text = server.weir("subscriptions", "show", "two").stdout
    for word in ("/a/* kind=x=y", "attribute:customer", "60.000 s", " events\n"):
        expect(word in text, f"'{word}' is not in what is shown", text)
    missing = server.weir("subscriptions", "show", "three", status=NOT_FOUND)
    expect("weir: there is no subscription three\n" in missing.stderr, "the name", missing)
    server.stop()


@test
def how_it_is_shared_is_kept_and_shown(folder):
    server = Server(folder)
    server.produce("/a", "a")
    numbers = ("--concurrency", "7", "--attempts", "0", "--ack-wait", "1m")
    writing = ("--checkpoint-every", "9", "--checkpoint-after", "1500ms", "--queue", "40")
    server.weir("subscriptions", "create", "made", *numbers, *writing)
    consume(server, "consumed", "-l", "1", *numbers, *writing)
    server.weir("exec", "--subscription", "run", "-l", "1", *numbers, *writing, "true")
    for name in ("made", "consumed", "run"):
        row = show(server, name)
        expect_equal((row["concurrency"], row["attempts"], row["ack_wait_ms"]), (7, 0, 60000), name)
        written = row["checkpoint_every"], row["checkpoint_after_ms"], row["queue"]
        expect_equal(written, (9, 1500, 40), name)
        text = server.weir("subscriptions", "show", name).stdout
        for line in ("every 9 events, or after 1.500 s\n", "  queue        40\n", "for ever\n"):
            expect(line in text, f"'{line}' is not in what is shown", text)
    server.stop()


@test
def a_transient_one_begins_at_its_start_after_a_restart(folder):
    server = Server(folder)
    server.produce("/a", "a", "b")
    server.weir("subscriptions", "create", "kept")
    server.weir("subscriptions", "create", "lost", "--transient")
    for name in ("kept", "lost"):
        expect_equal(consume(server, name, "-l", "2").stdout, "a\nb\n", name)
    expect_equal([show(server, name)["transient"] for name in ("kept", "lost")], [False, True])
    text = server.weir("subscriptions", "show", "lost").stdout
    expect("checkpoints  none: transient\n" in text, "that it is transient is not shown", text)
    server.stop()
    server.start()
    server.produce("/a", "c")
    expect_equal(consume(server, "kept", "-l", "1").stdout, "c\n", "kept")
    expect_equal(consume(server, "lost", "-l", "3").stdout, "a\nb\nc\n", "lost")
    server.stop()


@test
def many_subscriptions_are_listed_page_by_page(folder):
    server = Server(folder)
    names = [f"s{i:03}" for i in range(40)]
    for name in names:
        server.weir("subscriptions", "create", name, "-n", "/" + "x" * 1000)
    rows = server.weir("subscriptions", "list", "--output", "json").json_lines()
    expect_equal([row["name"] for row in rows], names)
    server.stop()


@test
def a_reset_gives_another_start(folder):
    server = Server(folder)
    ids = server.produce("/a", *"abc")
    expect_equal(consume(server, "s", "-l", "3").lines, list("abc"))
    process = server.weir_start("consume", "--subscription", "s", "--output", "raw")
    process.stderr.wait_line("already")
    expect_equal(
        server.weir("subscriptions", "reset", "s", "--start-after", ids[0]).lines, ["reset s"]
    )
    expect_equal(process.stdout.wait_lines(2), ["b", "c"])
    server.weir("subscriptions", "reset", "s", "--from", "end")
    server.produce("/a", "d")
    expect_equal(process.stdout.wait_lines(3), ["b", "c", "d"])
    missing = server.weir("subscriptions", "reset", "t", "--from", "end", status=NOT_FOUND)
    expect_equal(missing.stdout, "", "stdout")
    expect("weir: there is no subscription t\n" in missing.stderr, "the name is not said", missing)
    server.stop()


@test
def a_reset_to_a_time_begins_with_what_is_not_older(folder):
    server = Server(folder)
    first, later = produce_at_two_times(server)

    def begins_with():
        words = ("consume", "--subscription", "s", "--output", "json", "-l", "1")
        return server.weir(*words).json_lines()[0]["id"]

    expect_equal(begins_with(), first["id"], "the first event")
    server.weir("subscriptions", "reset", "s", "--since", later["timestamp"])
    expect_equal(begins_with(), later["id"], "the first that is not older")
    server.weir("subscriptions", "reset", "s", "--since", "1h")
    expect_equal(begins_with(), first["id"], "the first event of the last hour")
    server.stop()


@test
def deleting_ends_the_consumers_and_forgets(folder):
    server = Server(folder)
    server.produce("/a", "a")
    process = server.weir_start("consume", "--subscription", "s", "--output", "raw")
    process.stdout.wait_lines(1)
    unsure = server.weir("subscriptions", "delete", "s", status=USAGE)
    expect("--yes" in unsure.stderr, "the way to say yes is not named", unsure)
    expect_equal(server.weir("subscriptions", "delete", "s", "--yes").lines, ["deleted s"])
    expect_equal(process.wait(), NOT_FOUND, "exit status of the consumer")
    expect("was deleted" in process.stderr.text(), "it is not said", process.stderr.text())
    server.weir("subscriptions", "show", "s", status=NOT_FOUND)
    expect_equal(consume(server, "s", "-l", "1").lines, ["a"], "what comes of a new one")
    server.stop()


# --- exec ----------------------------------------------------------------------------------------


@test
def a_command_finds_the_event(folder):
    server = Server(folder)
    parent = server.produce("/p", "cause")[0]
    options = ("-P", parent, "--attr", "content-type=x/y", "--attr", "to=a b")
    server.weir("produce", "-n", "/a/b", "-d", "effect", *options)
    command = script(
        folder,
        'printf "%s|" "$(cat)" "$WEIR_ID" "$WEIR_NAMESPACE" "$WEIR_PARENT" "$WEIR_ATTEMPT" '
        '"$WEIR_SUBSCRIPTION" "$WEIR_ATTRIBUTE_CONTENT_TYPE" "$WEIR_ATTRIBUTE_TO" "$WEIR_PORT"\n'
        'echo "$WEIR_TIMESTAMP"\n',
    )
    run = server.weir("exec", "--subscription", "s", "-n", "/a/**", "-l", "1", "--", command)
    fields = run.stdout.strip().split("|")
    expect_equal(
        fields[:-1],
        ["effect", f"{2:020}{1:05}", "/a/b", parent, "1", "s", "x/y", "a b", str(server.port)],
    )
    expect_equal(fields[-1], server.events("-n", "/a/b")[0]["timestamp"], "the time")
    expect(show(server, "s")["lag_events"] <= 1, "the lag", show(server, "s"))
    server.stop()


@test
def a_command_that_fails_gets_the_event_again_until_it_is_parked(folder):
    server = Server(folder)
    bad = server.produce("/a", "bad")[0]
    command = script(folder, 'echo "$WEIR_ATTEMPT"; echo "no stock" >&2; exit 3\n')
    process = server.weir_start(
        *("exec", "--subscription", "s", "--attempts", "3", "--retry-delay", "1ms", "--", command)
    )
    wait_for(server, "s", "one parked", parked=1)
    process.signal(signal.SIGTERM)
    expect_equal(process.wait(), 128 + signal.SIGTERM, "exit status")
    expect_equal(process.stdout.lines(), ["1", "2", "3"], "attempts")
    expect_equal(process.stderr.text().count("exit status 3: no stock"), 3, "reasons said")
    parked = server.events("-n", "/$weir/parked/s")
    expect_equal([event["data"] for event in parked], ["bad"])
    attributes = parked[0]["attributes"]
    expect_equal(attributes["reason"], "exit status 3: no stock", "the reason")
    expect_equal(attributes["from"], "/a", "where it was")
    expect_equal(attributes["was"], bad, "which one it was")
    words = ("--subscription", "p", "-n", "/$weir/parked/s", "-l", "1", "--")
    run = server.weir("exec", *words, "sh", "-c", 'echo "$WEIR_ATTRIBUTE_WAS"')
    expect_equal(run.lines, [bad], "the variable")
    server.stop()


@test
def two_share_the_events_and_one_takes_over(folder):
    server = Server(folder)
    command = script(
        folder,
        f'echo "$(cat)" >> {folder}/started.$1\n'
        f'while ! test -e {folder}/go.$1; do read -r line < {folder}/wait.$1; done\n'
        f'echo "$WEIR_ID" >> {folder}/done\n',
    )
    for name in "12":
        os.mkfifo(os.path.join(folder, f"wait.{name}"))
    server.weir("subscriptions", "create", "s")
    first, second = (
        server.weir_start("exec", "--subscription", "s", "--", command, name) for name in "12"
    )
    wait_for(server, "s", "two consumers", consumers=2)
    server.produce("/a", *"ab")
    for name in "12":
        wait_until(lambda name=name: read(folder, f"started.{name}"), f"a command of {name}")
    taken = [read(folder, f"started.{name}").split() for name in "12"]
    expect_equal(sorted(taken), [["a"], ["b"]], "what each has")
    first.kill()
    with open(os.path.join(folder, "go.2"), "w", encoding="utf-8"):
        pass
    with open(os.path.join(folder, "wait.2"), "w", encoding="utf-8"):
        pass
    wait_until(lambda: len(read(folder, "done").split()) == 2, "both done by the second")
    second.signal(signal.SIGINT)
    expect_equal(second.wait(), 128 + signal.SIGINT, "exit status")
    with open(os.path.join(folder, "go.1"), "w", encoding="utf-8"):
        pass
    with open(os.path.join(folder, "wait.1"), "w", encoding="utf-8"):
        pass  # the command of the one that was killed ends too
    server.stop()


@test
def a_signal_goes_to_the_commands_and_the_second_kills(folder):
    server = Server(folder)
    server.produce("/a", "a")
    pipe = os.path.join(folder, "pipe")
    os.mkfifo(pipe)
    # A shell that has a command in the foreground handles a signal when that ends, which the signal
    # may have come too early for: it waits, which a signal ends.
    command = script(
        folder, f"trap 'echo told' TERM\necho started\nwhile :; do cat {pipe} & wait; done\n"
    )
    process = server.weir_start("exec", "--subscription", "s", "--", command)
    process.stdout.wait_line("started")
    process.signal(signal.SIGTERM)
    process.stdout.wait_line("told")
    process.stderr.wait_line("waiting for 1 command")
    expect(process.is_running(), "it did not wait for its command")
    process.signal(signal.SIGTERM)
    expect_equal(process.wait(), 128 + signal.SIGTERM, "exit status")
    expect("SIGKILL" in process.stderr.text(), "its end is not said", process.stderr.text())
    server.stop()


@test
def a_command_that_takes_too_long_is_ended(folder):
    server = Server(folder)
    server.produce("/a", "a")
    pipe = os.path.join(folder, "pipe")
    os.mkfifo(pipe)
    command = script(folder, f'test "$WEIR_ATTEMPT" = 2 || cat {pipe}\n')
    run = server.weir(
        *("exec", "--subscription", "s", "-l", "2", "--timeout", "100ms"),
        *("--retry-delay", "1ms", "--", command),
    )
    expect("took longer than 100 ms" in run.stderr, "it is not said", run)
    expect_equal(show(server, "s")["ack_wait_ms"], 30000, "the ack wait")
    expect_done(server, "s")
    server.stop()


@test
def large_data_for_a_command_that_does_not_read_it(folder):
    server = Server(folder)
    large = "x" * (1 << 20)
    for _ in range(3):
        server.weir("produce", "-n", "/a", "--lines", "-", stdin=large + "\n")
    run = server.weir("exec", "--subscription", "s", "-j", "2", "-l", "3", "--", "true")
    expect_equal(run.stdout, "", "stdout")
    run = server.weir("exec", "--subscription", "t", "-l", "3", "--", "wc", "-c")
    expect_equal(run.lines, [str(1 << 20)] * 3)
    server.stop()


@test
def a_command_that_cannot_be_run_ends_it(folder):
    server = Server(folder)
    server.produce("/a", "a")
    run = server.weir("exec", "--subscription", "s", "--", folder + "/none", status=FAILED)
    expect(folder + "/none" in run.stderr, "the command is not named", run)
    expect_equal(consume(server, "s", "-l", "1").lines, ["a"])
    server.stop()


@test
def exec_goes_on_when_the_node_was_away(folder):
    server = Server(folder)
    server.produce("/a", "a")
    process = server.weir_start("exec", "--subscription", "s", "--", "cat")
    process.stdout.wait(lambda: process.stdout.data == b"a", "the first event")
    server.restart()
    server.produce("/a", "b")
    process.stdout.wait(lambda: process.stdout.data.endswith(b"b"), "the second event")
    process.signal(signal.SIGTERM)
    expect_equal(process.wait(), 128 + signal.SIGTERM, "exit status")
    expect("connected again" in process.stderr.text(), "it is not said", process.stderr.text())
    server.stop()


@test
def a_signal_while_it_connects_has_its_own_exit_status(_):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        env = {"WEIR_HOST": "127.0.0.1", "WEIR_PORT": str(listener.getsockname()[1])}
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            words = ("exec", "--subscription", "s", "--", "true")
            process = Process([CLI, *words], env=env)
            connection, _ = listener.accept()  # and nobody answers
            process.signal(number)
            expect_equal(process.wait(), 128 + number, "exit status")
            connection.close()


# --- without a node ------------------------------------------------------------------------------


@test
def wrong_use_is_named_before_anything_is_connected(_):
    nowhere = {"WEIR_HOST": "127.0.0.1", "WEIR_PORT": str(free_port())}
    for arguments, word in (
        (("consume", "--subscription", "a/b"), "name"),
        (("consume", "--ack", "manual"), "--subscription"),
        (("consume", "--group-key", "1"), "--subscription"),
        (("consume", "--subscription", "s", "--cursor-file", "f"), "--cursor-file"),
        (("consume", "--subscription", "s", "--last", "3"), "--last"),
        (("consume", "--subscription", "s", "--marks"), "--marks"),
        (("consume", "--subscription", "s", "--ack", "later"), "later"),
        (("consume", "--subscription", "s", "--group-key", "0"), "'0'"),
        (("consume", "--queue", "5"), "--queue"),
        (("consume", "--subscription", "s", "--queue", "0"), "--queue"),
        (("subscriptions", "create", "s", "--checkpoint-every", "0"), "--checkpoint-every"),
        (("subscriptions", "create", "s", "--checkpoint-every", "4294967296"), "4294967295"),
        (("subscriptions", "create", "s", "--checkpoint-after", "0s"), "--checkpoint-after"),
        (("subscriptions", "create", "s", "--checkpoint-after", "50d"), "'50d'"),
        (("subscriptions", "reset", "s", "--from", "end", "--queue", "5"), "--queue"),
        (("consume", "--subscription", "s", "--in-flight", "16385"), "16384"),
        (("consume", "--subscription", "s", "-n", "/***"), "/***"),
        (("subscriptions",), "list"),
        (("subscriptions", "forget"), "forget"),
        (("subscriptions", "show"), "name"),
        (("subscriptions", "list", "s"), "s"),
        (("subscriptions", "reset", "s"), "--from"),
        (("subscriptions", "reset", "s", "--from", "end", "-n", "/a"), "-n"),
        (("subscriptions", "delete", "s"), "--yes"),
        (("subscriptions", "show", "s", "--from", "end"), "--from"),
        (("subscriptions", "list", "--yes"), "--yes"),
        (("subscriptions", "create", ".s"), "dot"),
        (("subscriptions", "create", "s", "--attr", "x"), "KEY=VALUE"),
        (("subscriptions", "create", "s", "--attempts", "-1"), "--attempts"),
        (("exec", "--", "true"), "--subscription"),
        (("exec", "--subscription", "s"), "COMMAND"),
        (("exec", "--subscription", "s", "-j", "0", "--", "true"), "--jobs"),
        (("exec", "--subscription", "s", "--timeout", "0s", "--", "true"), "--timeout"),
        (("exec", "--subscription", "s", "-j", "3", "--in-flight", "2", "true"), "--in-flight"),
        (("exec", "--subscription", "s", "--no-create", "-n", "/a", "true"), "--no-create"),
    ):
        result = run_weir(*arguments, env=nowhere, status=USAGE)
        expect(word in result.stderr, f"'{word}' is not in what it says", result)
    run_weir("consume", "--subscription", "s", env=nowhere, status=NO_CONNECTION)
    run_weir("subscriptions", "list", env=nowhere, status=NO_CONNECTION)
    run_weir("exec", "--subscription", "s", "--", "true", env=nowhere, status=NO_CONNECTION)


if __name__ == "__main__":
    main()
