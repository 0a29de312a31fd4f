#!/usr/bin/env python3
"""Consumers cross from replay to live while others produce: no gap, no repeat, order kept."""

import json

from load import Producer, by_namespace, check_producer, check_unique
from weir_test import REDUCED, Server, expect, expect_ascending, expect_equal
from weir_test import main, test, wait_until

COUNT = 1500 if REDUCED else 10000  # events per producer
PRODUCERS = 3


def read_tail(process, count):
    return [json.loads(line) for line in process.stdout.wait_lines(count, 90)]


def check_everything(events, acknowledged, producers):
    expect_equal(len(events), sum(map(len, acknowledged)), "number of events")
    check_unique(events)
    expect_ascending([event["id"] for event in events])  # one actor: production is id order
    streams = by_namespace(events)
    for producer, ids in zip(producers, acknowledged):
        check_producer(producer.name, ids, streams.get(producer.namespace, []), producer.line)


@test
def replay_goes_over_into_live_without_gap_or_repeat(folder):
    server = Server(folder)
    producers = [
        Producer(server, f"p{n}", f"/load/{n}/a", count=COUNT) for n in range(PRODUCERS)
    ]
    consumers = []
    for share in (0, 2, 7):  # consumers that start at different moments of the load
        producers[0].process.stdout.wait_count(COUNT * share // 10, 60)
        consumers.append(server.weir_start("consume", "-t", "--output", "json"))
        consumers.append(server.weir_start("consume", "-t", "-n", "/load/*/a", "--output", "json"))
    acknowledged = [producer.finish() for producer in producers]
    total = COUNT * PRODUCERS
    for consumer in consumers:
        check_everything(read_tail(consumer, total), acknowledged, producers)
        expect(consumer.is_running(), "a tail ended")
    expect_equal(len(server.events()), total, "number of events afterwards")
    server.stop()


@test
def a_filtered_consumer_sees_its_events_and_no_others(folder):
    server = Server(folder)
    producers = [Producer(server, f"p{n}", f"/load/{n}", count=COUNT) for n in range(PRODUCERS)]
    producers[0].process.stdout.wait_count(COUNT // 4, 60)
    one = server.weir_start("consume", "-t", "-n", "/load/1", "--output", "json")
    two = server.weir_start("consume", "-t", "-n", "/*/0", "-n", "/load/[2-9]", "--output", "json")
    acknowledged = [producer.finish() for producer in producers]
    check_everything(read_tail(one, COUNT), acknowledged[1:2], producers[1:2])
    del acknowledged[1], producers[1]
    check_everything(read_tail(two, 2 * COUNT), acknowledged, producers)
    server.stop()


@test
def a_limit_ends_a_tail_at_exactly_that_event(folder):
    server = Server(folder)
    server.produce_lines("/load/a", [f"early {n}" for n in range(100)])
    tail = server.weir_start("consume", "-t", "-l", "150", "--output", "json")
    tail.stdout.wait_count(100)
    server.produce_lines("/load/a", [f"late {n}" for n in range(100)])
    expect_equal(tail.wait(), 0, "exit status")
    found = [json.loads(line)["data"] for line in tail.stdout.lines()]
    expect_equal(found, [f"early {n}" for n in range(100)] + [f"late {n}" for n in range(50)])


@test
def a_tail_from_the_end_begins_there(folder):
    server = Server(folder)
    server.produce_lines("/load/a", [f"early {n}" for n in range(1000)])
    tail = server.weir_start("consume", "-t", "--from", "end", "-v", "--output", "json")
    # Whether it has subscribed shows in status, not in its output.
    wait_until(lambda: server.status()["subscriptions"] == 1, "the subscription")
    server.produce_lines("/load/a", ["late"])
    tail.stdout.wait_count(1)
    expect_equal([json.loads(line)["data"] for line in tail.stdout.lines()], ["late"], "events")


if __name__ == "__main__":
    main()
