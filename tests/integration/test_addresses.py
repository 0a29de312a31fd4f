#!/usr/bin/env python3
"""The command line with the addresses of several nodes: it goes on when one of them dies."""

import json
import subprocess

from cluster import Cluster
from weir_test import CLI, Process, expect, expect_equal, free_port, main, run_weir, test

NO_CONNECTION = 3


def addresses(cluster):
    return ",".join(f"127.0.0.1:{node.port}" for node in cluster.nodes.values())


def start(cluster, *arguments, **options):
    """A command that is at node 1, as long as that lives."""
    return Process([CLI, "-H", addresses(cluster), *arguments], **options)


def lines_of(first, count):
    return [f"line {n}" for n in range(first, first + count)]


@test
def consume_goes_on_with_its_cursor(folder):
    with Cluster(folder, 3) as cluster:
        wanted = lines_of(0, 2000)
        consumer = start(cluster, "consume", "-t", "-n", "/a", "--output", "raw")
        cluster[2].produce_lines("/a", wanted[:1000])
        consumer.stdout.wait_count(1)
        text = "".join(line + "\n" for line in wanted[1000:]).encode()
        producer = cluster[2].weir_start(
            *("produce", "-n", "/a", "--lines", "-"), stdin=subprocess.PIPE
        )
        producer.popen.stdin.write(text)
        producer.popen.stdin.close()
        cluster[1].kill()
        expect_equal(producer.wait(), 0, "the producer")
        consumer.stderr.wait_line("connecting again")
        consumer.stderr.wait_line("connected again, going on behind @")
        consumer.stdout.wait_count(len(wanted))
        cluster[2].kill()
        wanted += lines_of(2000, 10)
        cluster[3].produce_lines("/a", wanted[2000:])
        consumer.stdout.wait_count(len(wanted))
        expect_equal(consumer.stdout.lines(), wanted, "what was printed")


def work_through(cluster, *command):
    """Events before and after the death of the node that the command is at; it prints each."""
    wanted = lines_of(0, 100)
    process = start(cluster, *command)
    cluster[2].produce_lines("/a", wanted[:50])
    process.stdout.wait_count(50, seconds=30)
    cluster[1].kill()
    process.stderr.wait_line("connected again", seconds=30)
    cluster[2].produce_lines("/a", wanted[50:])
    process.stdout.wait(
        lambda: set(wanted) <= set(process.stdout.lines()), "each event was worked on", seconds=30
    )
    expect_equal(set(process.stdout.lines()), set(wanted), "what was printed")


@test
def exec_goes_on(folder):
    with Cluster(folder, 3) as cluster:
        command = ("sh", "-c", "cat; echo")
        work_through(cluster, "exec", "--subscription", "s", "-n", "/a", "--", *command)


@test
def consumer_of_a_durable_subscription_goes_on(folder):
    with Cluster(folder, 3) as cluster:
        work_through(cluster, "consume", "--subscription", "s", "-t", "-n", "/a", "--output", "raw")


@test
def produce_sends_the_rest_to_another_node(folder):
    with Cluster(folder, 3) as cluster:
        arguments = ("produce", "-n", "/a", "--lines", "-", "--output", "json")
        producer = start(cluster, *arguments, stdin=subprocess.PIPE)
        for node, text in ((1, b"one\n"), (2, b"two\n")):
            producer.popen.stdin.write(text)
            producer.stdout.wait_count(node)
            if node == 1:
                cluster[1].kill()
                producer.stderr.wait_line("connected again, to .*:" + str(cluster[2].port))
        producer.popen.stdin.close()
        expect_equal(producer.wait(), 0, "exit status")
        actors = [int(json.loads(line)["id"][-5:]) for line in producer.stdout.lines()]
        expect_equal(actors, [1, 2], "who stored them")


@test
def one_node_is_asked_and_it_is_the_first_that_answers(folder):
    with Cluster(folder, 2) as cluster:
        nobody = f"127.0.0.1:{free_port()}"
        last = f"127.0.0.1:{cluster[2].port}"
        first = f"127.0.0.1:{cluster[1].port}"
        for hosts in ((nobody, first, last), (last, nobody, first)):
            flags = [word for host in hosts for word in ("-H", host)]
            asked = [
                run_weir(*flags, "-v", "ping"),
                run_weir("-v", "ping", env={"WEIR_HOST": ",".join(hosts)}),
            ]
            for result in asked:
                chosen = next(host for host in hosts if host != nobody)
                expect(f"connected to {chosen}\n" in result.stderr, "who answered", result)
        result = run_weir("-H", nobody, "-H", nobody, "ping", status=NO_CONNECTION)
        expect(nobody in result.stderr, "the address is named", result)


if __name__ == "__main__":
    main()
