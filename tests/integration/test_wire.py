#!/usr/bin/env python3
"""docs/protocol.md against a second implementation: wire.py, written from that document alone.

The C code is held against the same blocks by a unit test, so all three agree.
"""

import hashlib
import hmac
import os
import re

import wire
from weir_test import ROOT, expect, expect_equal, main, test

BLOCK = re.compile(r"^```vector(?:-(\w+))? ?(.*)\n((?:.*\n)*?)```$", re.MULTILINE)


def blocks(kind):
    """(title, bytes) of every block of hex of one kind ("" for whole frames)."""
    path = os.path.join(ROOT, "docs", "protocol.md")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    for match in BLOCK.finditer(text):
        if (match.group(1) or "") == kind:
            lines = (line.split("#")[0] for line in match.group(3).splitlines())
            yield match.group(2), bytes.fromhex("".join(lines))


@test
def every_frame_of_the_document_is_one_message(_):
    names = []
    for name, data in blocks(""):
        length = int.from_bytes(data[:4], "big")
        expect_equal(length, len(data) - 4, f"length of {name}")
        message = wire.unpack(data[4:])
        expect(isinstance(message, list) and len(message) >= 2, f"{name} is no message", message)
        expect_equal(wire.pack(message), data[4:], f"{name} encoded again")
        names.append(name)
    expect(len(names) > 30, "too few vectors", names)


@test
def every_frame_between_nodes_is_one_message(_):
    kinds = set()
    for name, data in blocks("peer"):
        expect_equal(int.from_bytes(data[:4], "big"), len(data) - 4, f"length of {name}")
        message = wire.unpack(data[4:])
        expect_equal(wire.pack(message), data[4:], f"{name} encoded again")
        kinds.add(message[0])
    expect_equal(kinds, set(range(wire.P_FIRST, wire.P_LAST + 1)), "kinds that are shown")


@test
def proofs_between_nodes_are_made_as_the_document_says(_):
    frames = {name: data[4:] for name, data in blocks("peer")}
    hellos = frames["peer-hello-fresh"] + frames["peer-hello"]
    for role, name in ((b"d", "peer-proof-dialer"), (b"a", "peer-proof-acceptor")):
        signed = b"weir peer 1" + role + hellos
        mac = hmac.new(b"correct horse battery staple", signed, hashlib.sha256).digest()
        expect_equal(wire.unpack(frames[name])[2], mac, name)


@test
def every_event_of_the_document_is_an_event(_):
    found = list(blocks("event"))
    for name, data in found:
        fields = wire.unpack(data)
        expect(len(fields) in (2, 3), f"{name}: {len(fields)} elements")
        expect_equal(wire.event(*fields), data, f"{name} encoded again")
    expect(len(found) >= 3, "too few vectors", found)


@test
def slices_of_the_document_hold_events(_):
    for name, data in blocks(""):
        message = wire.unpack(data[4:])
        if message[0] in (wire.D_SLICES, wire.R_EVENTS):
            for counter, actor, namespace, _ in wire.slices(message[3]):
                expect(counter > 0 and actor > 0 and namespace, f"an event of {name}")


if __name__ == "__main__":
    main()
