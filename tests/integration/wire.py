"""The native protocol by hand (docs/protocol.md), for tests that speak it wrongly on purpose.

A small msgpack of our own, frames, and a connection that sends whatever it is told to. Written from
the document, not from the C code, so the tests also check that the two agree.
"""

import select
import socket
import struct
import time

from weir_test import SLOWNESS, Failure, expect

# Requests
HELLO, PING, PRODUCE, SUBSCRIBE, CREDIT, STOP, GET, LAST = range(1, 9)
NEIGHBOR, NAMESPACES, STATUS, CLUSTER = range(9, 13)
ATTACH, ACK, NACK, SUBSCRIPTIONS = range(13, 17)
# Replies and deliveries
R_HELLO, R_PONG, R_PRODUCED, R_SUBSCRIBED, R_EVENTS, R_NAMESPACES, R_STATUS, R_ERROR = range(65, 73)
R_CLUSTER, R_ATTACHED, R_ACKED, R_SUBSCRIPTIONS = range(73, 77)
D_CHUNKS, D_SLICES, D_MARK, D_END, D_ASSIGNED = range(80, 85)
# Between nodes: the first and the last kind
P_FIRST, P_LAST = 96, 111
# Errors
MALFORMED, UNKNOWN_MESSAGE, VERSION, NO_HELLO, FRAME_TOO_LARGE, DUPLICATE_ID = range(1, 7)
INVALID_NAMESPACE, INVALID_GLOB, INVALID_ID, INVALID_CURSOR, INVALID_EVENT = range(16, 21)
INVALID_ARGUMENT, TOO_LARGE = 21, 22
NOT_FOUND, TIMEOUT, DISK_FULL, UNKNOWN_OUTCOME, CORRUPT, SHUTTING_DOWN = range(32, 38)
BUSY, UNSUPPORTED, INTERNAL = 38, 39, 40
NOT_MEMBER, REFUSED, NOT_IN_FLIGHT, EXISTS = range(41, 45)
# Marks
CAUGHT_UP, HEARTBEAT, PROGRESS, FRONTIER, WAITING, MOVED = range(1, 7)
# Options of SUBSCRIBE
FILTER, START, END, LIMIT, CREDIT_BYTES, HEARTBEAT_MS, ORDER, MARKS = range(1, 9)
ATTRIBUTES, TIME_MIN = 11, 12


class Raw(bytes):
    """Bytes that stand in a message as they are."""


def pack(value):
    """msgpack of None, bool, int >= 0, str, bytes, list, dict, Raw."""
    if isinstance(value, Raw):
        return bytes(value)
    if value is None:
        return b"\xc0"
    if isinstance(value, bool):
        return b"\xc3" if value else b"\xc2"
    if isinstance(value, int):
        return pack_int(value)
    if isinstance(value, str):
        data = value.encode("utf-8", "surrogateescape")
        return pack_head(len(data), (0xA0, 32), (0xD9, 0xDA, 0xDB)) + data
    if isinstance(value, bytes):
        return pack_head(len(value), None, (0xC4, 0xC5, 0xC6)) + value
    if isinstance(value, (list, tuple)):
        head = pack_head(len(value), (0x90, 16), (None, 0xDC, 0xDD))
        return head + b"".join(map(pack, value))
    head = pack_head(len(value), (0x80, 16), (None, 0xDE, 0xDF))
    return head + b"".join(pack(key) + pack(item) for key, item in value.items())


def pack_int(value):
    if value < 128:
        return bytes([value])
    for code, form in ((0xCC, ">B"), (0xCD, ">H"), (0xCE, ">I"), (0xCF, ">Q")):
        if value < 1 << 8 * struct.calcsize(form):
            return bytes([code]) + struct.pack(form, value)
    raise ValueError(value)


def pack_head(length, fix, codes):
    if fix and length < fix[1]:
        return bytes([fix[0] | length])
    for code, form in zip(codes, (">B", ">H", ">I")):
        if code and length < 1 << 8 * struct.calcsize(form):
            return bytes([code]) + struct.pack(form, length)
    raise ValueError(length)


NUMBERS = {
    0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q",
    0xD0: ">b", 0xD1: ">h", 0xD2: ">i", 0xD3: ">q",
}  # fmt: skip
LENGTHS = {
    0xC4: ">B", 0xC5: ">H", 0xC6: ">I", 0xD9: ">B", 0xDA: ">H", 0xDB: ">I",
    0xDC: ">H", 0xDD: ">I", 0xDE: ">H", 0xDF: ">I",
}  # fmt: skip
CONSTANTS = {0xC0: None, 0xC2: False, 0xC3: True}


class Unpacker:
    """Reads msgpack values off bytes, one after the other."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, length):
        if self.at + length > len(self.data):
            raise Failure("msgpack ends too early")
        piece = self.data[self.at : self.at + length]
        self.at += length
        return piece

    def number(self, form):
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def value(self):
        code = self.take(1)[0]
        if code < 0x80:
            return code
        if code in CONSTANTS:
            return CONSTANTS[code]
        if code in NUMBERS:
            return self.number(NUMBERS[code])
        if code < 0xC0:
            length = code & (0x1F if code >= 0xA0 else 0x0F)
        elif code in LENGTHS:
            length = self.number(LENGTHS[code])
        else:
            raise Failure(f"msgpack code {code:#x} has no place in the protocol")
        if 0xA0 <= code < 0xC0 or 0xD9 <= code <= 0xDB:
            return self.take(length).decode("utf-8")
        if 0xC4 <= code <= 0xC6:
            return bytes(self.take(length))
        if 0x80 <= code < 0x90 or code in (0xDE, 0xDF):
            return {self.value(): self.value() for _ in range(length)}
        return [self.value() for _ in range(length)]


def unpack(data):
    unpacker = Unpacker(data)
    value = unpacker.value()
    expect(unpacker.at == len(data), "bytes behind a message")
    return value


def event(namespace, data=b"", attributes=None):
    """One event as it is encoded everywhere."""
    return pack([namespace, data] + ([attributes] if attributes is not None else []))


def id_key(text):
    """The ten bytes of an id in canonical text."""
    return struct.pack(">QH", int(text[:20]), int(text[20:]))


def slices(data):
    """(counter, actor, namespace, data) of every event of a run of slices."""
    while data:
        actor, count, length, first, _ = struct.unpack(">HHIQQ", data[:24])
        events = Unpacker(data[24 : 24 + length])
        for i in range(count):
            fields = events.value()
            yield first + i, actor, fields[0], fields[1]
        expect(events.at == length, "a slice longer than its events")
        data = data[24 + length :]


class Closed(Exception):
    """The server has closed the connection."""


class Connection:
    """A connection that says hello, if wanted, and then whatever it is told to."""

    def __init__(self, server, hello=True, features=0):
        self.socket = server.connect()
        self.received = bytearray()
        self.next_id = 0
        if hello:
            reply = self.ask(HELLO, 1, 1, "test", features)
            expect(reply[0] == R_HELLO, "no hello", reply)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send_bytes(self, data):
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            raise Closed from None

    def send_frame(self, message):
        self.send_bytes(struct.pack(">I", len(message)) + message)

    def send(self, kind, *elements):
        """Sends a request and returns its id."""
        self.next_id += 1
        self.send_frame(pack([kind, self.next_id, *elements]))
        return self.next_id

    def receive(self, seconds=10):
        """The next message; Closed; Failure when none comes in time."""
        deadline = time.monotonic() + seconds * SLOWNESS
        while True:
            if len(self.received) >= 4:
                length = struct.unpack(">I", self.received[:4])[0]
                if len(self.received) >= 4 + length:
                    message = bytes(self.received[4 : 4 + length])
                    del self.received[: 4 + length]
                    return unpack(message)
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.socket], [], [], left)[0]:
                raise Failure(f"no answer within {seconds} s")
            try:
                piece = self.socket.recv(1 << 18)
            except ConnectionResetError:
                piece = b""
            if not piece:
                raise Closed
            self.received += piece

    def ask(self, kind, *elements, seconds=10):
        """Sends a request and returns its reply."""
        request = self.send(kind, *elements)
        reply = self.receive(seconds)
        expect(reply[1] == request, "a reply to another request", reply)
        return reply

    def expect_error(self, reply, *codes):
        expect(reply[0] == R_ERROR, "no error", reply)
        expect(reply[3] in codes, f"error {reply[3]}, expected {codes}", reply)
        expect(len(reply[4]) > 8, "an error that says nothing", reply)
        return reply

    def expect_alive(self):
        reply = self.ask(PING)
        expect(reply[0] == R_PONG, "no pong", reply)

    def expect_closed(self, seconds=10):
        """Reads until the server closes; returns the messages that came before."""
        messages = []
        try:
            while True:
                messages.append(self.receive(seconds))
        except Closed:
            return messages

    def produce(self, *events, count=None, after=None):
        return self.ask(PRODUCE, after, len(events) if count is None else count, b"".join(events))
