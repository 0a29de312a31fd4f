#!/usr/bin/env python3
"""The programs of examples/, and with them libweir, against real servers, one of which dies."""

import os
import subprocess

from cluster import Cluster
from weir_test import BUILD, REDUCED, Process, Server, expect, expect_equal, main, test

COUNT = 200 if REDUCED else 2000


def start(name, *arguments, stdin=subprocess.DEVNULL):
    return Process([os.path.join(BUILD, "examples", name), *map(str, arguments)], stdin=stdin)


def run(name, *arguments, stdin="", seconds=60):
    """Its output, line by line."""
    process = start(name, *arguments, stdin=subprocess.PIPE)
    process.popen.stdin.write(stdin.encode())
    process.popen.stdin.close()
    expect_equal(process.wait(seconds), 0, f"exit of {name}: {process.stderr.text()}")
    return process.stdout.lines()


def lines(first, end):
    return "".join(f"line {i}\n" for i in range(first, end))


def address(server):
    return f"127.0.0.1:{server.port}"


@test
def what_is_produced_is_consumed_and_the_cursor_goes_on(folder):
    server = Server(folder)
    ids = run("produce", "/numbers", address(server), stdin=lines(0, COUNT))
    expect_equal(len(ids), COUNT, "ids")
    half = COUNT // 2
    first = run("consume", "/num*", half, "-", address(server))
    second = run("consume", "/num*", COUNT - half, first[-1], address(server))
    got = first[:-1] + second[:-1]
    expect_equal(got, [f"{id} /numbers line {i}" for i, id in enumerate(ids)], "events")
    run("produce", "/unix", address(server), stdin="")


@test
def what_is_refused_is_said(folder):
    server = Server(folder)
    process = start("produce", "/$no", address(server), stdin=subprocess.PIPE)
    process.popen.stdin.write(b"x\n")
    process.popen.stdin.close()
    expect_equal(process.wait(10), 1, "exit")
    expect("/$" in process.stderr.text(), "no reason", process.stderr.text())
    process = start("consume", "/**a", 1, "-", address(server))
    expect_equal(process.wait(10), 1, "exit")
    expect("**" in process.stderr.text(), "no reason", process.stderr.text())


@test
def responses_have_their_parents(folder):
    server = Server(folder)
    ids = run("produce", "/questions/a", address(server), stdin=lines(0, 50))
    answers = run("respond", 50, address(server))
    expect_equal(len(answers), 50, "answers")
    stored = server.events("-n", "/answers")
    expect_equal([event["parent"] for event in stored], ids, "parents")


@test
def event_loops_consume_and_respond(folder):
    server = Server(folder)
    ids = run("produce", "/in/a", address(server), stdin=lines(0, COUNT))
    got = run("loop_poll", "/in/*", COUNT, address(server))
    expect_equal(got, lines(0, COUNT).splitlines(), "events")
    run("loop_ev", COUNT, address(server))
    stored = server.events("-n", "/out")
    expect_equal([event["parent"] for event in stored], ids, "parents")


@test
def consumers_go_on_at_another_node_when_theirs_dies(folder):
    with Cluster(folder, 2) as cluster:
        addresses = [address(cluster[1]), address(cluster[2])]
        consume = start("consume", "/in/**", 2 * COUNT, "-", *addresses)
        poll = start("loop_poll", "/in/**", 2 * COUNT, *addresses)
        copy = start("loop_ev", 2 * COUNT, *addresses)
        run("produce", "/in/1", addresses[0], stdin=lines(0, COUNT))
        consume.stdout.wait_count(COUNT, 30)
        poll.stdout.wait_count(COUNT, 30)
        # What the first node has accepted and the others have not got yet would wait for it.
        cluster.wait_equal()
        cluster[1].kill()
        run("produce", "/in/2", addresses[1], stdin=lines(COUNT, 2 * COUNT))
        for process in (consume, poll, copy):
            expect_equal(process.wait(60), 0, f"exit: {process.stderr.text()}")
        expected = lines(0, 2 * COUNT).splitlines()
        expect_equal(poll.stdout.lines(), expected, "events")
        got = [line.split(" ", 2)[2] for line in consume.stdout.lines()[:-1]]
        expect_equal(got, expected, "events")
        expect("another node" in consume.stderr.text(), "no switch", consume.stderr.text())
        cluster[1].start()
        cluster.wait_equal()
        copies = [event["data"] for event in cluster[2].events("-n", "/out")]
        expect_equal(sorted(set(copies)), sorted(expected), "copies")


def work_of(lines):
    """The data of the events that a worker has done, without ids and attempts."""
    return [line.split(" ", 2)[2] for line in lines]


@test
def workers_share_what_there_is_and_the_next_goes_on_where_they_were(folder):
    server = Server(folder)
    run("produce", "/jobs/a", address(server), stdin=lines(0, COUNT) + "later\n")
    half = COUNT // 2
    two = [start("worker", "jobs", "/jobs/*", half // 2, address(server)) for _ in range(2)]
    for process in two:
        expect_equal(process.wait(60), 0, f"exit: {process.stderr.text()}")
    done = work_of(two[0].stdout.lines()) + work_of(two[1].stdout.lines())
    last = run("worker", "jobs", "/jobs/*", COUNT + 1 - len(done), address(server))
    done += work_of(last)
    expect_equal(sorted(done), sorted(lines(0, COUNT).splitlines() + ["later"]), "work done")
    attempts = {line.split(" ", 2)[1] for line in last if line.endswith("later")}
    expect_equal(attempts, {"2"}, "attempts of what was refused once")
    created = [process.stderr.text().count("and created") for process in two]
    expect_equal(sum(created), 1, "creations")


@test
def a_worker_goes_on_at_another_node_when_its_node_dies(folder):
    with Cluster(folder, 2) as cluster:
        addresses = [address(cluster[1]), address(cluster[2])]
        run("produce", "/jobs/1", addresses[0], stdin=lines(0, COUNT))
        cluster.wait_equal()
        worker = start("worker", "jobs", "/jobs/*", 0, *addresses)
        worker.stdout.wait_count(COUNT, 30)
        cluster.wait_equal()
        cluster[1].kill()
        run("produce", "/jobs/2", addresses[1], stdin=lines(COUNT, 2 * COUNT))
        expected = set(lines(0, 2 * COUNT).splitlines())
        done = lambda: expected <= set(work_of(worker.stdout.lines()))
        worker.stdout.wait(done, "all work done", 60)
        worker.kill()


@test
def a_producer_goes_on_at_another_node_and_knows_what_became_of_each_event(folder):
    with Cluster(folder, 2) as cluster:
        addresses = [address(cluster[1]), address(cluster[2])]
        producer = start("produce", "/made", *addresses, stdin=subprocess.PIPE)
        pipe = producer.popen.stdin
        pipe.write(lines(0, 20000).encode())
        producer.stdout.wait_count(5000, 30)
        victim = cluster[1] if "1" == connected_to(cluster) else cluster[2]
        victim.kill()
        pipe.write(lines(20000, 30000).encode())
        pipe.close()
        producer.wait(60)
        victim.start()
        cluster.wait_equal()
        ids = producer.stdout.lines()
        unknown = producer.stderr.text().count("not stored: ")
        expect_equal(len(ids) + unknown, 30000, "results")
        stored = cluster[2].events("-n", "/made")
        expect_equal(len({event["data"] for event in stored}), len(stored), "events once")
        missing = set(ids) - {event["id"] for event in stored}
        expect_equal(missing, set(), "acknowledged events that are not there")


def connected_to(cluster):
    """The node that has accepted events."""
    held = cluster[1].status()["cursor"], cluster[2].status()["cursor"]
    return "1" if ".1" in "".join(held) else "2"


if __name__ == "__main__":
    main()
