"""Consumers of durable subscriptions for tests: many at one time, in one thread, without waiting
for any of them. Each acknowledges what it gets, unless it is told to hold it."""

import select
import struct
import time
from collections import Counter

import wire
from weir_test import SLOWNESS, Failure, expect

SHOW = 1
CREATE = 10
ROW = struct.Struct(">QHQQI10sIHIQQQQQQHI")


def ranges(ids):
    return b"".join(struct.pack(">HQQ", actor, counter, counter) for counter, actor in ids)


class Row:
    """What SHOW says of one subscription."""

    def __init__(self, data):
        fields = ROW.unpack(data[: ROW.size])
        self.lag = fields[2]
        self.is_known = fields[6] == 1
        self.coordinator, self.consumers, self.in_flight, self.waiting = fields[7:11]
        self.delivered, self.redelivered, self.acked, self.parked = fields[11:15]

    def __eq__(self, other):
        return vars(self) == vars(other)

    def __repr__(self):
        return str(vars(self))


def show(node, name):
    with wire.Connection(node) as connection:
        reply = connection.ask(wire.SUBSCRIPTIONS, None, SHOW, name, "", {})
        expect(reply[0] == wire.R_SUBSCRIPTIONS, "no row", reply)
        return Row(reply[5])


class Consumer:
    """One attachment; goes to the next of its nodes when its connection ends."""

    def __init__(self, party, name, nodes, options=None):
        self.party, self.name, self.nodes = party, name, list(nodes)
        self.options = {CREATE: True, **(options or {})}
        self.is_holding = False
        self.held, self.got = [], []
        self.acked, self.refused, self.moved, self.attached = 0, 0, 0, 0
        self.connection = None
        self.error = None
        self.open()

    @property
    def node(self):
        return self.nodes[0]

    def open(self):
        self.held = []
        self.pending = set()
        try:
            self.connection = wire.Connection(self.node)
            self.id = self.connection.send(wire.ATTACH, None, self.name, self.options)
        except (OSError, wire.Closed):
            self.leave_node()

    def leave_node(self):
        if self.connection:
            self.connection.socket.close()
        self.connection = None
        self.nodes.append(self.nodes.pop(0))

    def read(self):
        """Takes what is there, at once."""
        try:
            piece = self.connection.socket.recv(1 << 18)
            if not piece:
                raise wire.Closed
            self.connection.received += piece
            while self.take_message():
                pass
        except (OSError, wire.Closed):
            self.leave_node()

    def take_message(self):
        received = self.connection.received
        if len(received) < 4:
            return False
        length = struct.unpack(">I", received[:4])[0]
        if len(received) < 4 + length:
            return False
        message = wire.unpack(bytes(received[4 : 4 + length]))
        del received[: 4 + length]
        self.take(message)
        return self.connection is not None

    def take(self, message):
        kind = message[0]
        if kind == wire.R_ATTACHED:
            self.attached += 1
        elif kind == wire.D_ASSIGNED:
            events = [
                ((counter, actor), data.decode(), message[3])
                for counter, actor, _, data in wire.slices(message[4])
            ]
            self.got += events
            self.party.seen.update(data for _, data, _ in events)
            self.connection.send_frame(wire.pack([wire.CREDIT, self.id, len(message[4])]))
            self.held += [event for event, _, _ in events]
            if not self.is_holding:
                self.acknowledge()
        elif kind == wire.D_MARK:
            self.moved += message[3] == wire.MOVED
        elif kind == wire.R_ACKED:
            self.acked += message[3]
            self.pending.discard(message[1])
        elif kind == wire.R_ERROR and message[1] in self.pending:
            expect(message[3] in (wire.NOT_IN_FLIGHT, wire.BUSY), "an ACK is refused", message)
            self.refused += 1
            self.pending.discard(message[1])
        elif kind in (wire.D_END, wire.R_ERROR):
            self.error = message
            self.leave_node()

    def acknowledge(self):
        while self.held:
            some, self.held = self.held[:100], self.held[100:]
            data = ranges(sorted(some, key=lambda event: (event[1], event[0])))
            self.pending.add(self.connection.send(wire.ACK, None, self.id, None, data))

    def close(self):
        if self.connection:
            self.connection.socket.close()
        self.connection = None
        self.nodes = []


class Party:
    """Consumers that are served together."""

    def __init__(self):
        self.consumers = []
        self.seen = Counter()

    def add(self, name, *nodes, options=None):
        consumer = Consumer(self, name, nodes, options)
        self.consumers.append(consumer)
        return consumer

    def serve(self, seconds=0.05):
        for consumer in self.consumers:
            if consumer.connection is None and consumer.nodes:
                consumer.open()
        sockets = {c.connection.socket: c for c in self.consumers if c.connection}
        for sock in select.select(list(sockets), [], [], seconds)[0]:
            if sockets[sock].connection and sockets[sock].connection.socket is sock:
                sockets[sock].read()

    def until(self, condition, what, seconds=30):
        deadline = time.monotonic() + seconds * SLOWNESS
        while not condition():
            if time.monotonic() > deadline:
                said = [(c.node.number, c.attached, c.moved, len(c.got), c.error)
                        for c in self.consumers if c.nodes]  # fmt: skip
                raise Failure(f"not within {seconds} s: {what}; {said}")
            self.serve()

    def until_attached(self, seconds=20):
        self.until(lambda: all(c.attached for c in self.consumers), "all are attached", seconds)

    def until_seen(self, wanted, seconds=30):
        def all_seen():
            return len(self.seen) >= len(wanted) and all(data in self.seen for data in wanted)

        try:
            self.until(all_seen, "everything has come", seconds)
        except Failure as failure:
            missing = [data for data in wanted if data not in self.seen]
            raise Failure(f"{failure}: {len(missing)} are missing, {missing[:5]}") from None

    def until_answered(self, seconds=20):
        self.until(
            lambda: all(not c.pending for c in self.consumers), "all ACKs are answered", seconds
        )

    def close(self):
        for consumer in self.consumers:
            consumer.close()
