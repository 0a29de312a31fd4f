#!/usr/bin/env python3
"""Durable subscriptions and groups over the native protocol, on one node."""

import struct

import wire
from weir_test import Server, expect, expect_equal, main, test

IN_FLIGHT, CREATE, KEY, CONCURRENCY, ATTEMPTS = 9, 10, 13, 14, 15
ACK_WAIT_MS, CHECKPOINT_EVERY, CHECKPOINT_AFTER_MS = 16, 17, 18
LIST, SHOW, MAKE, RESET, DELETE = range(5)


def ranges(*ids):
    return b"".join(struct.pack(">HQQ", actor, counter, counter) for counter, actor in ids)


class Consumer:
    """A connection with one attachment; `name` may have to be created."""

    def __init__(self, server, name, options=None, create=True):
        self.connection = wire.Connection(server)
        self.inbox = []
        self.id = self.connection.send(
            wire.ATTACH, None, name, {**({CREATE: True} if create else {}), **(options or {})}
        )
        self.reply = self.connection.receive()

    def attached(self):
        expect_equal(self.reply[0], wire.R_ATTACHED, f"the answer to ATTACH ({self.reply})")
        return self

    def next(self, seconds=10):
        """The next event: (counter, actor), data, attempt."""
        while not self.inbox:
            message = self.connection.receive(seconds)
            if message[0] == wire.D_ASSIGNED:
                for counter, actor, _, data in wire.slices(message[4]):
                    self.inbox.append(((counter, actor), data, message[3]))
        return self.inbox.pop(0)

    def take(self, count):
        return [self.next() for _ in range(count)]

    def ask(self, kind, *elements):
        request = self.connection.send(kind, None, *elements)
        while True:
            message = self.connection.receive()
            if message[0] == wire.D_ASSIGNED:
                for counter, actor, _, data in wire.slices(message[4]):
                    self.inbox.append(((counter, actor), data, message[3]))
            elif message[1] == request:
                return message

    def ack(self, *ids, up_to=None):
        key = struct.pack(">QH", *up_to) if up_to else None
        return self.ask(wire.ACK, self.id, key, ranges(*ids))

    def nack(self, *ids, delay_ms=0, reason=""):
        return self.ask(wire.NACK, self.id, ranges(*ids), delay_ms, reason)

    def close(self):
        self.connection.socket.close()


def produce(server, *data, namespace="/a"):
    with wire.Connection(server) as connection:
        reply = connection.produce(*(wire.event(namespace, text.encode()) for text in data))
        expect_equal(reply[0], wire.R_PRODUCED, f"the answer to PRODUCE ({reply})")


def texts(events):
    return [data.decode() for _, data, _ in events]


@test
def what_is_acknowledged_does_not_come_again(folder):
    server = Server(folder)
    produce(server, *"abcdef")
    first = Consumer(server, "s", {CHECKPOINT_EVERY: 1}).attached()
    expect(first.reply[4], "it was not created", first.reply)
    events = first.take(6)
    expect_equal(texts(events), list("abcdef"))
    expect_equal([attempt for _, _, attempt in events], [1] * 6)
    reply = first.ack(up_to=events[2][0])
    expect_equal((reply[0], reply[3]), (wire.R_ACKED, 3), f"the answer to ACK ({reply})")
    reply = first.ack(events[4][0])
    expect_equal((reply[0], reply[3]), (wire.R_ACKED, 1), f"the answer to ACK ({reply})")
    first.close()
    second = Consumer(server, "s").attached()
    expect(not second.reply[4], "it was created again", second.reply)
    again = second.take(2)
    expect_equal(texts(again), ["d", "f"])
    expect_equal([attempt for _, _, attempt in again], [2, 2])
    server.stop()


@test
def the_position_outlives_the_node(folder):
    server = Server(folder)
    produce(server, *"abc")
    first = Consumer(server, "s", {CHECKPOINT_AFTER_MS: 1}).attached()
    events = first.take(3)
    first.ack(events[0][0], events[1][0])
    first.close()
    wait_for_checkpoint(server)
    server.restart()
    produce(server, "d")
    second = Consumer(server, "s", create=False).attached()
    expect_equal(texts(second.take(2)), ["c", "d"])
    server.stop()


def wait_for_checkpoint(server):
    """Whoever looks at /$weir sees checkpoints as they come: CREATED is the first event."""
    with wire.Connection(server) as connection:
        connection.send(wire.SUBSCRIBE, None, {wire.FILTER: [[0, "/$weir/subscriptions/*"]]})
        seen = 0
        while seen < 2:
            message = connection.receive()
            if message[0] == wire.D_SLICES:
                seen += len(list(wire.slices(message[3])))


@test
def what_is_refused_comes_again_and_is_parked_in_the_end(folder):
    server = Server(folder)
    produce(server, "bad")
    consumer = Consumer(server, "s", {ATTEMPTS: 2}).attached()
    for attempt in (1, 2):
        event, data, number = consumer.next()
        expect_equal((data, number), (b"bad", attempt))
        reply = consumer.nack(event, reason="no use")
        expect_equal(reply[0], wire.R_ACKED, f"the answer to NACK ({reply})")
    with wire.Connection(server) as connection:
        connection.send(wire.SUBSCRIBE, None, {wire.FILTER: [[0, "/$weir/parked/s"]]})
        message = connection.receive()
        while message[0] != wire.D_SLICES:
            message = connection.receive()
        parked = list(wire.slices(message[3]))
    expect_equal([(space, data) for _, _, space, data in parked], [("/$weir/parked/s", b"bad")])
    consumer.connection.expect_error(consumer.ack(event), wire.NOT_IN_FLIGHT)
    server.stop()


@test
def two_consumers_share_and_one_takes_over(folder):
    server = Server(folder)
    one = Consumer(server, "s", {IN_FLIGHT: 2, CONCURRENCY: 2}).attached()
    two = Consumer(server, "s", {IN_FLIGHT: 2}).attached()
    third = Consumer(server, "s")
    third.connection.expect_error(third.reply, wire.BUSY)
    produce(server, *"abcd")
    first, second = one.take(2), two.take(2)
    expect_equal(sorted(texts(first) + texts(second)), list("abcd"))
    one.ack(*(event for event, _, _ in first))
    two.close()
    expect_equal(sorted(texts(one.take(2))), sorted(texts(second)))
    server.stop()


@test
def keys_stay_with_one_consumer(folder):
    server = Server(folder)
    one = Consumer(server, "s", {KEY: [1], IN_FLIGHT: 4}).attached()
    two = Consumer(server, "s", {IN_FLIGHT: 4}).attached()
    for text in "abc":
        produce(server, text, namespace="/x")
        produce(server, text, namespace="/y")
    expect_equal(texts(one.take(3)), list("abc"))
    expect_equal(texts(two.take(3)), list("abc"))
    server.stop()


@test
def subscriptions_are_listed_reset_and_deleted(folder):
    server = Server(folder)
    produce(server, *"ab")
    admin = wire.Connection(server)
    reply = admin.ask(wire.SUBSCRIPTIONS, None, MAKE, "s", "", {})
    expect_equal(reply[0], wire.R_SUBSCRIPTIONS, f"the answer ({reply})")
    admin.expect_error(admin.ask(wire.SUBSCRIPTIONS, None, MAKE, "s", "", {}), wire.EXISTS)
    consumer = Consumer(server, "s", create=False).attached()
    events = consumer.take(2)
    consumer.ack(up_to=events[1][0])
    reply = admin.ask(wire.SUBSCRIPTIONS, None, SHOW, "s", "", {})
    expect(len(reply[5]) > 0, "no row", reply)
    reply = admin.ask(wire.SUBSCRIPTIONS, None, RESET, "s", "", {})
    expect_equal(reply[0], wire.R_SUBSCRIPTIONS, f"the answer ({reply})")
    expect_equal(texts(consumer.take(2)), ["a", "b"])
    reply = admin.ask(wire.SUBSCRIPTIONS, None, DELETE, "s", "", {})
    expect_equal(reply[0], wire.R_SUBSCRIPTIONS, f"the answer ({reply})")
    message = consumer.connection.receive()
    while message[0] != wire.D_END:
        message = consumer.connection.receive()
    expect_equal(message[3], 4, "the reason of the END")
    admin.expect_error(admin.ask(wire.SUBSCRIPTIONS, None, SHOW, "s", "", {}), wire.NOT_FOUND)
    gone = Consumer(server, "s", create=False)
    gone.connection.expect_error(gone.reply, wire.NOT_FOUND)
    server.stop()


if __name__ == "__main__":
    main()
