#!/usr/bin/env python3
"""What the command line makes of a cluster's answers: the node is a script, so that every answer,
however rare, can be given."""

import contextlib
import json
import os
import pty
import socket
import struct
import threading

from weir_test import CLI, Failure, Process, expect, expect_equal, main, run_weir, test
from wire import CREDIT, D_MARK, D_END, HELLO, PRODUCE, R_ERROR, R_HELLO, R_PRODUCED, R_SUBSCRIBED
from wire import SUBSCRIBE, TIMEOUT, pack, unpack

CLUSTER, R_CLUSTER = 12, 73
FRONTIER, WAITING = 4, 5
NOT_MEMBER, REFUSED = 41, 42
EQUAL, BEHIND, AHEAD, DIVERGED = 1, 2, 3, 4
SELF = 1
FEWER, NOT_EQUAL, TIMED_OUT, FAILED = 4, 6, 7, 1


def row(actor, verdict=0, flags=0, held=0, claimed=0, state=0, diverged=(0, 0)):
    fixed = bytes([actor]) * 16 + struct.pack(">HBBIH", actor, state, verdict, flags, 0)
    fixed += struct.pack(">QQQQQQ", 1, held, claimed, 0, 0, 0) + struct.pack(">HQ", *diverged)
    return fixed + struct.pack(">H", 0) * 2


class Node:
    """Answers each request by what `script(message)` returns: messages behind kind and id."""

    def __init__(self, script):
        self.script, self.taken = script, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.env = {"WEIR_HOST": "127.0.0.1", "WEIR_PORT": str(self.listener.getsockname()[1])}
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                with connection, contextlib.suppress(OSError, EOFError):
                    self.serve(connection)

    @staticmethod
    def read(connection, length):
        data = b""
        while len(data) < length:
            piece = connection.recv(length - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data

    def serve(self, connection):
        while True:
            length = struct.unpack(">I", self.read(connection, 4))[0]
            message = unpack(self.read(connection, length))
            if message[0] == HELLO:
                uuid = b"0123456789abcdef"
                answers = [[R_HELLO, {}, 1, "weir test", 0, 1, "kitchen", uuid, uuid, 1 << 20]]
            else:
                self.taken.append(message)
                answers = self.script(message)
            for kind, *rest in answers:
                data = pack([kind, message[1], *rest])
                connection.sendall(struct.pack(">I", len(data)) + data)

    def weir(self, *arguments, **options):
        return run_weir(*arguments, env=self.env, **options)


def cluster(*rows, text="", why_not="", alarms=""):
    uuid = b"0123456789abcdef"
    return [
        [
            *(R_CLUSTER, {}, "kitchen", uuid, uuid, 1, "member", not why_not, why_not, 50, 2),
            *(100, 1, 0, 0, 0, 0, text, b"".join(rows), alarms),
        ]
    ]


@test
def verify_asks_again_until_all_are_equal(_):
    answers = [
        cluster(row(1, flags=SELF), row(2, BEHIND)),
        cluster(row(1, flags=SELF), row(2, AHEAD, held=5, claimed=9)),
        cluster(row(1, flags=SELF), row(2, EQUAL)),
    ]
    node = Node(lambda _: answers.pop(0) if len(answers) > 1 else answers[0])
    result = node.weir("cluster", "verify", status=NOT_EQUAL)
    expect_equal(result.lines[1], "actor 2: behind this node", "verdict")
    result = node.weir("cluster", "verify", "--wait", "60s")
    expect_equal(result.lines, ["actor 1: equal (this node)", "actor 2: equal"], "verdicts")
    expect_equal(len(node.taken), 3, "questions")


@test
def verify_names_where_members_diverged(_):
    node = Node(lambda _: cluster(row(1, flags=SELF), row(2, DIVERGED, diverged=(3, 77))))
    result = node.weir("cluster", "verify", "--wait", "1ms", status=NOT_EQUAL)
    expect("actor 2: DIVERGED since 77 of actor 3" in result.lines, "verdict", result)
    result = node.weir("cluster", "verify", "--output", "json", status=NOT_EQUAL)
    found = json.loads(result.stdout)
    expect_equal(found["equal"], False, "equal")
    expect_equal(found["members"][1]["diverged"], {"actor": 3, "since": 77}, "diverged")


@test
def status_succeeds_whatever_it_has_to_say(_):
    node = Node(
        lambda _: cluster(row(1, flags=SELF), why_not="it waits", alarms="clone: look\nsecret: no")
    )
    result = node.weir("cluster", "status")
    for text in ("no: it waits", "ALARM:     clone: look", "held back by actor 2", "1.010 copies"):
        expect(text in result.stdout, f"'{text}' is missing", result)
    status = json.loads(node.weir("cluster", "status", "--output", "json").stdout)
    expect_equal(status["may_produce"], False, "may_produce")
    expect_equal([alarm["code"] for alarm in status["alarms"]], ["clone", "secret"], "codes")


@test
def a_command_says_what_was_done_or_why_not(_):
    answers = [
        cluster(text="actor 3 is retired at 17"),
        [[R_ERROR, {}, REFUSED, "actor 2 cannot be asked: start it, or use --force"]],
    ]
    node = Node(lambda _: answers.pop(0))
    result = node.weir("cluster", "retire", "3", "--yes", "--force")
    expect_equal(result.stdout, "actor 3 is retired at 17\n", "stdout")
    kind, _, which, actor, _, _, is_forced, *_ = node.taken[0]
    expect_equal((kind, which, actor, bool(is_forced)), (CLUSTER, 2, 3, True), "the request")
    result = node.weir("cluster", "leave", "--yes", status=FAILED)
    expect("cannot be asked" in result.stderr, "the reason is missing", result)


def answer_on_terminal(node, answer, arguments):
    """Runs weir with a terminal as stdin and stderr, types the answer; status and what it said."""
    ours, theirs = pty.openpty()
    try:
        process = Process(
            ["sh", "-c", 'exec "$@" 2>&0', "sh", CLI, *arguments], env=node.env, stdin=theirs
        )
        os.close(theirs)
        said = b""
        while b"[y/N]" not in said:
            said += os.read(ours, 4096)
        os.write(ours, answer)
        return process.wait()
    finally:
        os.close(ours)


@test
def a_terminal_is_asked_first(_):
    node = Node(lambda _: cluster(text="done"))
    for answer, status in ((b"n\n", FAILED), (b"\n", FAILED), (b"yesterday\n", FAILED)):
        actual = answer_on_terminal(node, answer, ["cluster", "leave"])
        expect_equal(actual, status, f"exit status after {answer!r}")
    expect_equal(node.taken, [], "requests")
    expect_equal(answer_on_terminal(node, b"y\n", ["cluster", "leave"]), 0, "exit status")
    expect_equal(len(node.taken), 1, "requests")


@test
def fewer_replicas_than_asked_for_have_their_own_exit_status(_):
    nodes = [1]

    def produced(message):
        if message[0] != PRODUCE:
            raise Failure(f"not a produce: {message!r}")
        remarks = 0 if nodes[0] == 3 else 2
        return [[R_PRODUCED, {}, struct.pack(">QH", 7, 1), message[3], nodes[0], remarks]]

    node = Node(produced)
    options = ("produce", "-n", "/a", "-d", "x", "--replicas", "3", "--timeout", "50ms")
    result = node.weir(*options, status=FEWER)
    expect_equal(len(result.lines), 1, "ids: the event is stored")
    for text in ("1 of the 3", "Successfully produced 1"):
        expect(text in result.stderr, f"'{text}' is missing", result)
    nodes[0] = 3
    result = node.weir(*options, "--output", "json")
    expect_equal(result.json_lines()[0]["nodes"], 3, "nodes")


@test
def a_node_that_may_not_produce_says_why(_):
    node = Node(lambda _: [[R_ERROR, {}, NOT_MEMBER, "this node was retired: start afresh"]])
    result = node.weir("produce", "-n", "/a", "-d", "x", status=FAILED)
    expect("was retired" in result.stderr, "the reason is missing", result)


def marks(message):
    if message[0] == CREDIT:
        return []
    if message[0] != SUBSCRIBE:
        raise Failure(f"not a subscription: {message!r}")
    at = struct.pack(">QH", 9, 65535)
    waiting = [D_MARK, {}, WAITING, 0, struct.pack(">QH", 9, 3)]
    return [[R_SUBSCRIBED, {}], [D_MARK, {}, FRONTIER, 0, at], waiting, waiting, [D_END, {}, 1, 0]]


@test
def marks_are_lines_of_json_or_said(_):
    node = Node(marks)
    result = node.weir("consume", "--marks", "--output", "json")
    expect_equal(
        result.json_lines(), [{"mark": "frontier", "at": "0000000000000000000965535"}], "lines"
    )
    result = node.weir("consume", "--marks")
    expect_equal(result.stdout, "", "stdout")
    expect("frontier 0000000000000000000965535" in result.stderr, "frontier", result)
    result = node.weir("consume", "-v", "--order", "stable")
    expect_equal(result.stderr.count("waits for actor 3"), 1, "how often it says so")


@test
def every_request_can_wait_for_what_was_written_elsewhere(_):
    answer = [[R_ERROR, {}, TIMEOUT, "the cursor is not reached yet"]]
    node = Node(lambda _: answer)
    for arguments in (
        ("get", "1.1"),
        ("last",),
        ("namespaces",),
        ("consume", "-n", "/a"),
        ("produce", "-n", "/a", "-d", "x"),
    ):
        after = ("--after", "@5.2,3.1", "--after-timeout", "70ms")
        result = node.weir(*arguments, *after, status=TIMED_OUT)
        expect("not reached" in result.stderr, "the reason is missing", result)
        expect_equal(node.taken[-1][2], [{2: 5, 1: 3}, 70], f"after, of {arguments[0]}")


if __name__ == "__main__":
    main()
