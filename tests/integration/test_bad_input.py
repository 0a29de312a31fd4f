#!/usr/bin/env python3
"""Bytes that no honest client sends: each gets a clear answer, costs little, delays nobody."""

import random
import socket
import struct

import wire
from weir_test import REDUCED, Server, expect, expect_equal, main, test, wait_until
from wire import Closed, Connection, Raw, event, pack

MIB = 1 << 20


def check_unharmed(server, events):
    """The server still serves, and holds exactly so many events."""
    expect(server.process.is_running(), "the server ended")
    expect_equal(server.status()["events"], events, "events in the log")
    server.stop()


@test
def frames_that_are_too_large_end_the_connection(folder):
    server = Server(folder)
    with Connection(server, hello=False) as connection:
        connection.send_bytes(struct.pack(">I", 0xFFFFFFFF) + b"x" * 100)
        messages = connection.expect_closed()
        connection.expect_error(messages[0], wire.FRAME_TOO_LARGE)
    with Connection(server, hello=False) as connection:  # before hello little is allowed
        connection.send_bytes(struct.pack(">I", 65 * 1024) + b"x")
        messages = connection.expect_closed()
        connection.expect_error(messages[0], wire.FRAME_TOO_LARGE)
    with Connection(server) as connection:
        connection.send_bytes(struct.pack(">I", 0x7FFFFFFF))
        messages = connection.expect_closed()
        connection.expect_error(messages[0], wire.FRAME_TOO_LARGE)
    with Connection(server) as connection:
        connection.send_bytes(struct.pack(">I", 0))
        connection.expect_error(connection.expect_closed()[0], wire.MALFORMED)
    check_unharmed(server, 0)


@test
def the_first_message_must_be_hello(folder):
    server = Server(folder)
    with Connection(server, hello=False) as connection:
        connection.send(wire.PING)
        connection.expect_error(connection.expect_closed()[0], wire.NO_HELLO)
    with Connection(server, hello=False) as connection:
        connection.send(wire.HELLO, 1000, 1001, "from the future", 0)
        connection.expect_error(connection.expect_closed()[0], wire.VERSION)
    for greeting in (b"GET / HTTP/1.1\r\n\r\n", b"*1\r\n$4\r\nPING\r\n", b"\x16\x03\x01"):
        with Connection(server, hello=False) as connection:
            connection.send_bytes(greeting)
            connection.socket.shutdown(socket.SHUT_WR)
            connection.expect_closed()
    check_unharmed(server, 0)


@test
def unknown_messages_are_answered_and_the_connection_lives(folder):
    server = Server(folder)
    with Connection(server) as connection:
        for kind in (0, 31, 64, 200, 70000, 2**63):
            reply = connection.ask(kind, "what", [1, {2: b"3"}])
            connection.expect_error(reply, wire.UNKNOWN_MESSAGE)
        connection.expect_alive()
    check_unharmed(server, 0)


@test
def later_versions_may_add_elements(folder):
    server = Server(folder)
    with Connection(server) as connection:
        reply = connection.ask(wire.PING, "new", {1: [2]}, None)
        expect_equal(reply[0], wire.R_PONG, "reply")
        connection.expect_alive()
    check_unharmed(server, 0)


LIES = [
    b"\xdd\xff\xff\xff\xff",  # an array of four billion
    b"\xdf\xff\xff\xff\xff",  # a map of four billion
    b"\x95\x03\x05\xc0\x01\xc6\xff\xff\xff\xff",  # a produce with 4 GiB of events
    b"\x94\x04\x05\xc0\xdf\x7f\xff\xff\xff",  # a subscription with two billion options
    b"\x96\x01\x05\x01\x01\xdb\xff\xff\xff\xff",  # a name of 4 GiB
    b"\x91" * 1000 + b"\xc0",  # deep
    b"\x92\x02" + b"\x91" * 60000 + b"\x01",  # deep, and large
    b"\x94\x04\x05\xc0" + b"\x81\x01" * 500 + b"\x01",  # deep options
    b"\xc1",  # a code that does not exist
    b"\x92\x02",  # ends too early
    b"\x92\x02\x01\x00\x00",  # goes on too long
    b"\x92\xa4ping\x01",  # a kind that is a text
    b"\x92\x02\x20\xe0",  # trailing rubbish
    b"\x92\x02\xff",  # a negative id
    b"\x80",
    b"\xc0",
    b"\xc7\x01\x01\x01",  # an extension
    b"\xcb" + b"\x00" * 8,  # a float
]


@test
def deep_and_lying_msgpack_is_refused(folder):
    server = Server(folder)
    before = server.rss_bytes()
    for lie in LIES:
        with Connection(server) as connection:
            connection.send_frame(lie)
            connection.expect_error(
                connection.expect_closed()[0], wire.MALFORMED, wire.UNKNOWN_MESSAGE
            )
        with Connection(server, hello=False) as connection:
            connection.send_frame(lie)
            connection.expect_closed()
    expect(server.rss_bytes() - before < 64 * MIB * (4 if REDUCED else 1), "memory has grown")
    check_unharmed(server, 0)


@test
def random_bytes_break_nothing(folder):
    server = Server(folder)
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    good = pack([wire.SUBSCRIBE, 7, None, {wire.FILTER: [[0, "/a/*"]], wire.LIMIT: 3}])
    for _ in range(30 if REDUCED else 300):
        with Connection(server) as connection:
            frame = bytearray(good if chance.random() < 0.7 else chance.randbytes(50))
            for _ in range(chance.randrange(1, 4)):
                frame[chance.randrange(len(frame))] = chance.randrange(256)
            try:
                connection.send_frame(bytes(frame))
                connection.send(wire.PING)
                connection.receive()
            except Closed:
                pass
    expect(server.process.is_running(), f"the server ended; seed {seed}")
    check_unharmed(server, 0)


NAMESPACES = [
    ("empty", b"\xa0"),
    ("too long", pack("/" + "a" * 1024)),
    ("not UTF-8", b"\xa3/\xff\xfe"),
    ("cut UTF-8", b"\xa2/\xc3"),
    ("a surrogate", b"\xa4/\xed\xa0\x80"),
    ("overlong", b"\xa3/\xc0\xaf"),
    ("a NUL", b"\xa3/\x00a"),
    ("a newline", b"\xa3/a\n"),
    ("DEL", b"\xa3/a\x7f"),
    ("a C1 control character", b"\xa4/a\xc2\x85"),
    ("the system's", pack("/$weir/x")),
]


@test
def bad_namespaces_are_refused_and_nothing_of_the_batch_is_stored(folder):
    server = Server(folder)
    with Connection(server) as connection:
        for what, name in NAMESPACES:
            bad = b"\x92" + name + pack(b"data")
            reply = connection.produce(event("/a"), bad, event("/b"))
            connection.expect_error(reply, wire.INVALID_NAMESPACE, wire.TOO_LARGE)
            expect_equal(server.status()["events"], 0, f"events after a namespace that is {what}")
        connection.expect_alive()
        expect_equal(connection.produce(event("/" + "a" * 1023))[0], wire.R_PRODUCED, "reply")
    check_unharmed(server, 1)


@test
def bad_events_are_refused_and_nothing_of_the_batch_is_stored(folder):
    server = Server(folder)
    good = event("/a", b"x")
    bad = [
        pack("no array"),
        pack(["/a"]),
        pack(["/a", "text, not bytes"]),
        pack(["/a", b"x", ["odd"]]),
        pack(["/a", b"x", ["", "empty key"]]),
        pack(["/a", b"x", ["k" * 256, "long key"]]),
        pack(["/a", b"x", ["p", b"short"]]),
        pack(["/a", b"x", ["p", bytes(10)]]),
        pack(["/a", b"x", ["p", b"\0" * 7 + b"\1\0\1", "p", b"\0" * 7 + b"\1\0\1"]]),
        pack(["/a", b"x", ["$mine", "reserved"]]),
        pack(["/a", b"x", ["k", 7]]),
        pack(["/a", b"x", ["k", "v"] * 65]),
        pack(["/a", b"x", ["k", "v" * 65537]]),
        pack(["/a", b"x", [], "more"]),
        good[:-1],
        b"\x92\xa2/a\xc6\xff\xff\xff\xff",
    ]
    with Connection(server) as connection:
        for one in bad:
            reply = connection.produce(good, one)
            codes = (wire.INVALID_EVENT, wire.TOO_LARGE, wire.INVALID_ID, wire.INVALID_ARGUMENT)
            connection.expect_error(reply, *codes)
            reply = connection.produce(one, good)
            connection.expect_error(reply, *codes)
        for count in (0, 1, 3, 65537):  # a count that is not that of the events
            reply = connection.produce(good, good, count=count)
            connection.expect_error(
                reply, wire.INVALID_EVENT, wire.INVALID_ARGUMENT, wire.TOO_LARGE
            )
        connection.expect_alive()
    check_unharmed(server, 0)


@test
def events_above_the_limit_are_refused(folder):
    server = Server(folder)
    with Connection(server) as connection:
        reply = connection.produce(event("/a"), event("/a", bytes(MIB + 1)))
        connection.expect_error(reply, wire.TOO_LARGE)
        many = [event("/a", b"x")] * 65537
        connection.expect_error(connection.produce(*many), wire.TOO_LARGE)
        large = [event("/a", bytes(MIB - 64))] * 17
        connection.expect_error(connection.produce(*large), wire.TOO_LARGE)
        expect_equal(connection.produce(event("/a", bytes(MIB)))[0], wire.R_PRODUCED, "reply")
        connection.expect_alive()
    check_unharmed(server, 1)


GLOBS = ["/***", "/**foo", "/foo**", "[unclosed", "a\\", "", "a" * 1025, "/a\nb", "/\udcff"]


@test
def bad_globs_ids_and_cursors_are_refused(folder):
    server = Server(folder)
    with Connection(server) as connection:
        for glob in GLOBS:
            reply = connection.ask(wire.SUBSCRIBE, None, {wire.FILTER: [[0, glob]]})
            connection.expect_error(reply, wire.INVALID_GLOB, wire.TOO_LARGE)
            connection.expect_error(
                connection.ask(wire.LAST, None, 3, [[0, glob]]), wire.INVALID_GLOB, wire.TOO_LARGE
            )
        for key in (bytes(10), b"\xff" * 8 + b"\0\1", b"\0" * 7 + b"\1\0\0"):
            reply = connection.ask(wire.GET, None, key)
            connection.expect_error(reply, wire.INVALID_ID, wire.INVALID_ARGUMENT, wire.NOT_FOUND)
        reply = connection.ask(wire.GET, None, b"\0" * 7 + b"\7\0\1")
        connection.expect_error(reply, wire.NOT_FOUND)
        reply = connection.ask(wire.LAST, None, 0, [])
        connection.expect_error(reply, wire.INVALID_ARGUMENT)
        reply = connection.ask(wire.LAST, None, 65537, [])
        connection.expect_error(reply, wire.INVALID_ARGUMENT, wire.TOO_LARGE)
        connection.expect_alive()
    check_unharmed(server, 0)


@test
def cursors_that_make_no_sense_are_refused(folder):
    server = Server(folder)
    cursors = [
        {0: 1},  # no actor has this number
        {70000: 1},
        {1: 2**63},
        {1: 0},
        Raw(b"\xdf\xff\xff\xff\xff"),
        Raw(b"\x82\x01\x01\x01\x02"),  # an actor twice
        [1, 2],
    ]
    for cursor in cursors:
        with Connection(server) as connection:
            reply = connection.ask(wire.SUBSCRIBE, None, {wire.START: [4, cursor]})
            connection.expect_error(reply, wire.INVALID_CURSOR, wire.MALFORMED)
        with Connection(server) as connection:
            reply = connection.ask(wire.GET, [cursor, 10], b"\0" * 7 + b"\7\0\1")
            connection.expect_error(reply, wire.INVALID_CURSOR, wire.MALFORMED)
    with Connection(server) as connection:  # a cursor that the node does not hold, in time
        reply = connection.ask(wire.GET, [{9: 9}, 50], b"\0" * 7 + b"\7\0\1")
        connection.expect_error(reply, wire.TIMEOUT)
        connection.expect_alive()
    check_unharmed(server, 0)


@test
def one_request_id_is_used_once_at_a_time(folder):
    server = Server(folder)
    with Connection(server) as connection:
        first = connection.ask(wire.SUBSCRIBE, None, {})
        expect_equal(first[0], wire.R_SUBSCRIBED, "reply")
        connection.next_id = first[1] - 1
        connection.send(wire.SUBSCRIBE, None, {})
        kinds = {}
        while wire.R_ERROR not in kinds:
            reply = connection.receive()
            kinds[reply[0]] = reply
        connection.expect_error(kinds[wire.R_ERROR], wire.DUPLICATE_ID)
        connection.next_id = 100
        connection.send(wire.PING)
        expect_equal(connection.receive()[0], wire.R_PONG, "reply")
    check_unharmed(server, 0)


@test
def too_many_patterns_are_refused(folder):
    server = Server(folder)
    with Connection(server) as connection:
        reply = connection.ask(wire.SUBSCRIBE, None, {wire.FILTER: [[0, "/a"]] * 65})
        codes = (wire.MALFORMED, wire.INVALID_ARGUMENT, wire.INVALID_GLOB, wire.TOO_LARGE)
        connection.expect_error(reply, *codes)
    check_unharmed(server, 0)


@test
def attributes_that_no_event_may_have_are_refused(folder):
    server = Server(folder)
    bad_name = Raw(b"\xa2\xc3\x28")
    for attributes in (
        [["a", b""]] * 17,
        [[bad_name, b"x"]],
        [["", b"x"]],
        [["a" * 256, b"x"]],
        [["a", b"x" * 65537]],
        [["a"]],
        [["a", "text"]],
        ["a"],
        {},
        None,
    ):
        with Connection(server) as connection:
            reply = connection.ask(wire.SUBSCRIBE, None, {wire.ATTRIBUTES: attributes})
            connection.expect_error(reply, wire.MALFORMED, wire.INVALID_ARGUMENT)
    with Connection(server) as connection:
        reply = connection.ask(wire.SUBSCRIBE, None, {wire.TIME_MIN: "now"})
        connection.expect_error(reply, wire.MALFORMED)
    with Connection(server) as connection:  # what no event can have is no error
        attributes = [["a", bytes([i]) * 65536] for i in range(16)]
        connection.send(wire.SUBSCRIBE, None, {wire.ATTRIBUTES: attributes, wire.END: [1]})
        expect_equal(connection.receive()[0], wire.R_SUBSCRIBED, "reply")
        expect_equal(connection.receive()[0], wire.D_END, "delivery")
    check_unharmed(server, 0)


@test
def half_frames_that_stall_delay_nobody(folder):
    server = Server(folder)
    stalled = []
    half = struct.pack(">I", 16 * MIB) + b"\x95\x03\x05\xc0\x01\xc6\x00\xff\xff\xf0"
    for _ in range(20):
        connection = Connection(server)
        connection.send_bytes(half)
        stalled.append(connection)
    for _ in range(20):
        connection = Connection(server, hello=False)
        connection.send_bytes(b"\0\0")
        stalled.append(connection)
    before = server.rss_bytes()
    ids = server.produce_lines("/a", [str(n) for n in range(1000)], seconds=20)
    expect_equal(len(ids), 1000, "ids")
    expect(server.rss_bytes() - before < 128 * MIB * (4 if REDUCED else 1), "memory has grown")
    expect(server.status()["connections"] >= 21, "those that said hello are not counted")
    for connection in stalled:
        connection.socket.close()
    wait_until(lambda: server.status()["connections"] == 1, "the others to be gone")
    check_unharmed(server, 1000)


@test
def a_connection_without_hello_ends_by_itself(folder):
    server = Server(folder)
    with Connection(server, hello=False) as connection:
        connection.expect_closed(20)  # after 10 s
    check_unharmed(server, 0)


@test
def floods_of_requests_that_never_read_are_held_back(folder):
    server = Server(folder)
    server.produce_lines("/a", ["x" * 1000] * 1000)
    before = server.rss_bytes()
    flooders = []
    last = struct.pack(">I", 0)
    for _ in range(4):
        connection = Connection(server)
        connection.socket.setblocking(False)
        flooders.append(connection)
        message = pack([wire.LAST, 1, None, 1000, []])
        last = struct.pack(">I", len(message)) + message
    sent = 0
    for _ in range(200):  # as much as they take
        for connection in flooders:
            try:
                sent += connection.socket.send(last * 500)
            except BlockingIOError:
                pass
            except (BrokenPipeError, ConnectionResetError):
                pass
        if sent > 64 * MIB:
            break
    expect_equal(len(server.produce_lines("/b", ["y"] * 100, seconds=20)), 100, "ids")
    grown = server.rss_bytes() - before
    expect(grown < 256 * MIB * (4 if REDUCED else 1), f"memory has grown by {grown >> 20} MiB")
    for connection in flooders:
        connection.socket.close()
    wait_until(lambda: server.status()["connections"] == 1, "the flooders to be gone")
    check_unharmed(server, 1100)


@test
def stop_frees_the_connection_for_other_requests(folder):
    server = Server(folder)
    with Connection(server) as connection:
        subscription = connection.send(wire.SUBSCRIBE, None, {})
        expect_equal(connection.receive()[0], wire.R_SUBSCRIBED, "reply")
        connection.send_frame(pack([wire.STOP, subscription]))
        kinds = []
        while wire.D_END not in kinds:
            message = connection.receive()
            expect_equal(message[1], subscription, "the subscription's id")
            kinds.append(message[0])
        connection.expect_alive()
        for unknown in (9999, subscription):
            connection.send_frame(pack([wire.STOP, unknown]))
        connection.next_id = 500
        connection.send(wire.PING)
        while connection.receive()[:2] != [wire.R_PONG, 501]:
            pass
    check_unharmed(server, 0)


@test
def credit_bounds_what_is_sent(folder):
    server = Server(folder)
    server.produce_lines("/a", ["x" * 1000] * 2000)
    with Connection(server) as connection:
        subscription = connection.send(wire.SUBSCRIBE, None, {wire.CREDIT_BYTES: 100000})
        received, events = 0, 0
        quiet = False
        while not quiet:
            try:
                message = connection.receive(0.5)
            except Exception:  # pylint: disable=broad-except
                quiet = True
                continue
            if message[0] == wire.D_SLICES:
                received += len(message[3])
                events += len(list(wire.slices(message[3])))
        expect(0 < received < 100000 + 300 * 1024, f"{received} bytes for a credit of 100,000")
        connection.send_frame(pack([wire.CREDIT, subscription, 1 << 30]))
        while events < 2000:
            message = connection.receive()
            if message[0] == wire.D_SLICES:
                events += len(list(wire.slices(message[3])))
        expect_equal(events, 2000, "events")
    check_unharmed(server, 2000)


if __name__ == "__main__":
    main()
