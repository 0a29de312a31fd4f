#!/usr/bin/env python3
"""Slow consumers cost a position, never a growing queue, and delay nobody."""

import json

import wire
from weir_test import REDUCED, Server, expect, expect_equal, main, test, wait_until

MIB = 1 << 20
EVENTS = 4000 if REDUCED else 40000
SIZE = 4000


def load(server, part):
    lines = [f"{part} {n} ".ljust(SIZE, ".") for n in range(EVENTS // 4)]
    ids = server.produce_lines("/load", lines, seconds=120)
    expect_equal(len(ids), len(lines), "ids")
    return lines


@test
def consumers_that_never_read_cost_no_memory(folder):
    server = Server(folder, memory=64)
    slow = []
    for number in range(30):
        connection = wire.Connection(server, features=3 if number % 2 else 0)
        options = {wire.CREDIT_BYTES: 1 << 30, wire.HEARTBEAT_MS: 10}
        if number % 3 == 0:
            options[wire.FILTER] = [[0, "/l*"]]
        connection.send(wire.SUBSCRIBE, None, options)
        slow.append(connection)
    wait_until(lambda: server.status()["subscriptions"] == 30, "the subscriptions")
    fast = server.weir_start("consume", "-t", "--output", "json")
    lines = []
    for part in range(4):
        lines += load(server, part)
        fast.stdout.wait_count(len(lines), 60)  # not delayed by the others
        rss = server.rss_bytes()
        allowed = (64 + 192) * MIB * (4 if REDUCED else 1)
        expect(rss < allowed, f"{rss >> 20} MiB resident after {len(lines) * SIZE >> 20} MiB")
    expect([json.loads(line)["data"] for line in fast.stdout.lines()] == lines, "other events")
    # One of them begins to read after all, and finds everything.
    seen = 0
    while seen < EVENTS:
        message = slow[2].receive(30)
        if message[0] == wire.D_SLICES:
            for _, _, _, data in wire.slices(message[3]):
                expect(data.decode() == lines[seen], f"not event {seen}")
                seen += 1
    for connection in slow:
        connection.socket.close()
    wait_until(lambda: server.status()["subscriptions"] == 1, "the subscriptions to end")
    server.stop()


@test
def a_consumer_that_pauses_goes_on_where_it_was(folder):
    server = Server(folder, memory=64)
    with wire.Connection(server) as connection:
        subscription = connection.send(wire.SUBSCRIBE, None, {wire.CREDIT_BYTES: 20000})
        lines = []
        seen = []
        for part in range(4):
            lines += load(server, part)
            while len(seen) < len(lines) // 2:
                message = connection.receive(30)
                if message[0] == wire.D_SLICES:
                    seen += [data.decode() for _, _, _, data in wire.slices(message[3])]
                    connection.send_frame(
                        wire.pack([wire.CREDIT, subscription, len(message[3])])
                    )
        while len(seen) < len(lines):
            message = connection.receive(30)
            if message[0] == wire.D_SLICES:
                seen += [data.decode() for _, _, _, data in wire.slices(message[3])]
                connection.send_frame(wire.pack([wire.CREDIT, subscription, len(message[3])]))
        expect(seen == lines, "other events than produced")
    server.stop()


if __name__ == "__main__":
    main()
