#!/usr/bin/env python3
"""Signals, log files, stopping under load, the disk reserve, the systemd units."""

import glob
import os
import re
import shutil
import signal
import subprocess
import time

import wire
from load import Producer, by_namespace, check_producer
from weir_test import REDUCED, ROOT, Server, Skip, expect, expect_equal
from weir_test import main, processes, test, wait_until

MIB = 1 << 20


@test
def sigterm_under_load_keeps_everything_and_exits_0_in_time(folder):
    server = Server(folder)
    for number, name in enumerate((signal.SIGTERM, signal.SIGINT)):
        producers = [Producer(server, f"p{n}", f"/load/{number}/{n}", size=200) for n in range(3)]
        tails = [server.weir_start("consume", "-t", "--no-reconnect") for _ in range(3)]
        for producer in producers:
            producer.process.stdout.wait_count(100)
        begin = time.monotonic()
        server.process.signal(name)
        expect_equal(server.process.wait(5), 0, "exit status")
        expect(REDUCED or time.monotonic() - begin < 5, "it took more than 5 s")
        acknowledged = [producer.broken_off() for producer in producers]
        for tail in tails:
            tail.wait()
        server.start()
        streams = by_namespace(server.events("-n", f"/load/{number}/*"))
        for producer, ids in zip(producers, acknowledged):
            check_producer(producer.name, ids, streams[producer.namespace], producer.line)
    server.stop()


@test
def subscribers_are_told_when_the_server_stops(folder):
    server = Server(folder)
    with wire.Connection(server) as connection:
        connection.ask(wire.SUBSCRIBE, None, {})
        server.process.signal(signal.SIGTERM)
        messages = connection.expect_closed()
        ends = [message for message in messages if message[0] == wire.D_END]
        expect(ends and ends[0][3] == 3, "no END with SHUTDOWN", messages)
    expect_equal(server.process.wait(5), 0, "exit status")


@test
def a_stop_does_not_wait_for_clients_that_hang(folder):
    server = Server(folder)
    server.produce_lines("/a", ["x" * 1000] * 5000)
    hanging = []
    for _ in range(3):
        connection = wire.Connection(server)
        connection.send(wire.SUBSCRIBE, None, {wire.CREDIT_BYTES: 1 << 29})
        hanging.append(connection)
    half = wire.Connection(server)
    half.send_bytes(b"\x00\x00\x10\x00half")
    begin = time.monotonic()
    server.process.signal(signal.SIGTERM)
    expect_equal(server.process.wait(5), 0, "exit status")
    expect(REDUCED or time.monotonic() - begin < 5, "it took more than 5 s")


@test
def sighup_opens_the_log_file_again(folder):
    path = os.path.join(folder, "weir.log")
    server = Server(folder, "-o", path, "-L", "debug")
    wait_until(lambda: os.path.exists(path) and os.path.getsize(path), "the log file")
    os.rename(path, path + ".1")
    server.process.signal(signal.SIGHUP)
    wait_until(lambda: os.path.exists(path), "the new log file")
    server.produce("/a", "x")
    server.stop()
    with open(path, encoding="utf-8") as file:
        expect(file.read().strip(), "nothing in the new log file")


@test
def a_node_keeps_its_identity_and_a_clean_stop_its_clock(folder):
    server = Server(folder)
    server.produce("/a", "x")
    before = server.status()
    server.restart()
    expect_equal(server.produce("/a", "y"), [f"{2:020}00001"], "the id after a clean stop")
    server.kill()
    server.start()
    after = server.status()
    expect_equal(after["node"], before["node"], "node")
    expect_equal(after["cluster"], before["cluster"], "cluster")
    third = server.produce("/a", "z")[0]
    expect(int(third[:20]) > 2, "an id that may have been used", third)
    expect_equal([e["data"] for e in server.events()], ["x", "y", "z"], "events")


@test
def the_disk_reserve_refuses_produce_and_nothing_else(folder):
    server = Server(folder)
    server.produce("/a", "before")
    server.stop()
    server.env = {"WEIR_DISK_RESERVE_MB": str(1 << 30)}  # more than any disk has
    server.start()
    result = server.weir("produce", "-n", "/a", "-d", "refused", status=1)
    expect(re.search(r"disk|space", result.stderr), "the reason is not said", result)
    expect_equal([e["data"] for e in server.events()], ["before"], "events")
    expect(server.status()["alarms"], "no alarm in status")
    server.stop()
    server.env = {}
    server.start()
    server.produce("/a", "after")
    expect_equal([e["data"] for e in server.events()], ["before", "after"], "events")


@test
def produce_resumes_when_there_is_space_again(folder):
    """A small disk of its own, filled and freed while the server runs."""
    if os.getuid() != 0:
        raise Skip("needs root, to mount")
    disk = os.path.join(folder, "disk")
    os.mkdir(disk)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=400m", "tmpfs", disk],
        capture_output=True, timeout=30, check=False,
    )  # fmt: skip
    if mounted.returncode:
        raise Skip("cannot mount here")
    try:
        server = Server(disk, env={"WEIR_DISK_RESERVE_MB": "100"})
        server.produce("/a", "before")
        with open(os.path.join(disk, "filler"), "wb") as filler:
            os.posix_fallocate(filler.fileno(), 0, 330 * MIB)

        def produces(data):
            return server.weir("produce", "-n", "/a", "-d", data, status=None).status == 0

        wait_until(lambda: not produces("filling"), "a refusal")
        held = server.status()["events"]
        expect(not produces("refused"), "accepted again without space")
        expect_equal(server.status()["events"], held, "events while refusing")
        os.unlink(os.path.join(disk, "filler"))
        wait_until(lambda: produces("after"), "produce to go on")
        expect_equal(server.events()[-1]["data"], "after", "the last event")
        expect_equal(server.status()["alarms"], [], "alarms")
        server.stop()
    finally:
        for process in processes:
            process.kill()
        subprocess.run(["umount", "-l", disk], check=False, timeout=30)


@test
def the_systemd_units_are_valid_and_hardened(_):
    if not shutil.which("systemd-analyze"):
        raise Skip("systemd-analyze is not installed")
    units = sorted(glob.glob(os.path.join(ROOT, "deploy", "systemd", "*.service")))
    names = [os.path.basename(unit) for unit in units]
    expect_equal(names, ["weir-server.service", "weir-server@.service"], "units")
    for unit in units:
        result = subprocess.run(
            ["systemd-analyze", "security", "--offline=true", "--no-pager", unit],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        match = re.search(r"Overall exposure level for \S+: ([0-9.]+)", result.stdout)
        expect(match, "no exposure level", result.stdout[-500:], result.stderr[-500:])
        expect(float(match.group(1)) <= 1.1, f"exposure {match.group(1)}, at most 1.1", unit)


if __name__ == "__main__":
    main()
