#!/usr/bin/env python3
"""Durable subscriptions in a cluster: consumers at any node share one group, which goes to another
node when its coordinator is gone, and nothing is skipped."""

import contextlib
import json

import wire
from cluster import Cluster
from group_consumers import Party, show
from weir_test import expect, expect_equal, main, test, wait_until

IN_FLIGHT, CHECKPOINT_AFTER_MS = 9, 18
OPTIONS = {IN_FLIGHT: 100, CHECKPOINT_AFTER_MS: 100}
NAME = "orders"


class Producer:
    """One connection to a node; `wanted` is all that was acknowledged to it."""

    def __init__(self, node, label):
        self.connection, self.label = wire.Connection(node), label
        self.wanted = []

    def produce(self, count):
        some = [f"{self.label}{len(self.wanted) + n}" for n in range(count)]
        reply = self.connection.produce(*(wire.event("/a", text.encode()) for text in some))
        expect(reply[0] == wire.R_PRODUCED, "the answer to PRODUCE", reply)
        self.wanted += some


@contextlib.contextmanager
def three_nodes(folder):
    with Cluster(folder, 3) as cluster:
        party = Party()
        try:
            yield cluster, party
        finally:
            party.close()


def attach_everywhere(cluster, party, each=2):
    """Consumers at each node; the number of the node that coordinates, and the others."""
    numbers = sorted(cluster.nodes)
    for number in numbers:
        others = [cluster[n] for n in numbers if n != number]
        for _ in range(each):
            party.add(NAME, cluster[number], *others, options=OPTIONS)
        party.until_attached()
    party.until(
        lambda: all(show(cluster[n], NAME).consumers == len(party.consumers) for n in numbers),
        "each node says that all are attached",
    )
    coordinators = {show(cluster[n], NAME).coordinator for n in numbers}
    expect_equal(len(coordinators), 1, "how many coordinators the nodes name")
    coordinator = coordinators.pop()
    return coordinator, [n for n in numbers if n != coordinator]


def listed(node):
    [row] = node.weir("subscriptions", "list", "--output", "json").json_lines()
    return row["coordinator"], row["consumers"], row["lag_events"]


def repeats(party):
    return sum(count - 1 for count in party.seen.values())


@test
def consumers_at_any_node_share_one_subscription(folder):
    with three_nodes(folder) as (cluster, party):
        coordinator, _ = attach_everywhere(cluster, party)
        producers = [Producer(cluster[n], f"{n}-") for n in (1, 2, 3)]
        for _ in range(20):
            for producer in producers:
                producer.produce(50)
            party.serve(0)
        wanted = [data for producer in producers for data in producer.wanted]
        party.until_seen(wanted)
        party.until_answered()
        expect_equal(repeats(party), 0, "events that came again without a failure")
        for number in (1, 2, 3):
            party.until(
                lambda: listed(cluster[number]) == (coordinator, 6, 0),
                f"the list at node {number} says what the coordinator knows",
            )
        expect_equal(sum(c.acked for c in party.consumers), len(wanted), "events acknowledged")
        for consumer in party.consumers:
            expect(consumer.got, f"a consumer at node {consumer.node.number} got nothing")
        for number in (1, 2, 3):
            row = show(cluster[number], NAME)
            expect_equal(row.coordinator, coordinator, f"the coordinator, says node {number}")
            expect_equal((row.acked, row.in_flight), (len(wanted), 0), f"counts of node {number}")


def kill_under_load(cluster, party, victim, at):
    producer = Producer(cluster[at], f"{at}-")
    for step in range(60):
        producer.produce(50)
        party.serve(0)
        if step == 20:
            cluster[victim].kill()
    party.until_seen(producer.wanted)
    party.until_answered()
    return producer


@test
def coordinator_is_killed_and_another_one_goes_on(folder):
    with three_nodes(folder) as (cluster, party):
        coordinator, (one, two) = attach_everywhere(cluster, party)
        stayed = [c for c in party.consumers if c.node.number != coordinator]
        producer = kill_under_load(cluster, party, coordinator, one)
        for consumer in stayed:
            expect(consumer.moved > 0, f"no word of the move at node {consumer.node.number}")
            expect_equal(consumer.error, None, "the end of a consumer")
            expect_equal(consumer.attached, 1, "how often it was attached, for its client")
        expect(show(cluster[one], NAME).coordinator in (one, two), "who coordinates")
        expect_equal(
            show(cluster[one], NAME).coordinator,
            show(cluster[two], NAME).coordinator,
            "the coordinator, in the eyes of the two that are left",
        )
        # what was in flight, and what was acknowledged since the last checkpoint
        expect(repeats(party) < len(producer.wanted), "more came again than there were", producer)


@test
def forwarding_node_is_killed_and_its_events_come_again_to_others(folder):
    with three_nodes(folder) as (cluster, party):
        coordinator, (victim, other) = attach_everywhere(cluster, party)
        holders = [c for c in party.consumers if c.node.number == victim]
        for consumer in holders:
            consumer.is_holding = True
        producer = Producer(cluster[other], "x")
        producer.produce(1000)
        party.until(lambda: all(len(c.held) == 100 for c in holders), "as many as may be in flight")
        held = {data for consumer in holders for _, data, _ in consumer.got}
        before = show(cluster[coordinator], NAME)
        expect_equal(before.in_flight >= len(held), True, "in flight")
        cluster[victim].kill()
        for consumer in holders:
            consumer.close()
        party.until(
            lambda: all(party.seen[data] == 2 for data in held), "they come to the others", 30
        )
        party.until_seen(producer.wanted)
        party.until_answered()
        expect_equal(repeats(party), len(held), "events that came again")
        for consumer in party.consumers:
            expect_equal(consumer.error, None, "the end of a consumer")


@test
def coordinator_that_stands_still_is_replaced_and_comes_back(folder):
    with three_nodes(folder) as (cluster, party):
        coordinator, (one, two) = attach_everywhere(cluster, party)
        frozen = [c for c in party.consumers if c.node.number == coordinator]
        producer = Producer(cluster[one], "x")
        producer.produce(200)
        party.until_seen(producer.wanted)
        cluster[coordinator].freeze()
        producer.produce(500)
        others = [c for c in party.consumers if c not in frozen]
        party.until(lambda: all(c.moved for c in others), "the others have moved")
        party.until_seen(producer.wanted)
        cluster[coordinator].thaw()
        party.until(
            lambda: all(show(cluster[n], NAME).coordinator == coordinator for n in (one, two)),
            "it coordinates again",
        )
        producer.produce(500)
        party.until_seen(producer.wanted)
        party.until_answered()
        for consumer in party.consumers:
            expect_equal(consumer.error, None, "the end of a consumer")


@test
def both_sides_of_a_partition_go_on_and_agree_when_healed(folder):
    with three_nodes(folder) as (cluster, party):
        coordinator, (one, two) = attach_everywhere(cluster, party)
        here, there = Producer(cluster[coordinator], "here"), Producer(cluster[one], "there")
        cluster.proxy.part([coordinator], [one, two])
        here.produce(300)
        there.produce(300)
        party.until_seen([*here.wanted, *there.wanted])
        party.until(
            lambda: show(cluster[one], NAME).coordinator in (one, two), "another one coordinates"
        )
        cluster.proxy.heal()
        party.until(
            lambda: all(
                (row := show(cluster[n], NAME)).coordinator == coordinator
                and row.consumers == len(party.consumers)
                for n in (1, 2, 3)
            ),
            "one coordinates again, for all",
        )
        here.produce(300)
        there.produce(300)
        party.until_seen([*here.wanted, *there.wanted])
        party.until_answered()
        for consumer in party.consumers:
            expect_equal(consumer.error, None, "the end of a consumer")


@test
def of_two_creations_the_first_holds_and_the_other_one_is_said(folder):
    with three_nodes(folder) as (cluster, _):

        def shown(number):
            words = ("subscriptions", "show", NAME, "--output", "json")
            said = cluster[number].weir(*words, status=None)
            row = json.loads(said.stdout) if said.status == 0 else {}
            return tuple(row.get(key) for key in ("generation", "void_creations", "void_last"))

        cluster.proxy.part([1], [2, 3])
        for number in (1, 2):
            cluster[number].weir("subscriptions", "create", NAME)
        first, second = sorted(shown(number) for number in (1, 2))
        expect_equal((first[1:], second[1:]), ((0, None), (0, None)), "what is void")
        expect(first[0] != second[0], "they are not two", first, second)
        cluster.proxy.heal()
        wait_until(
            lambda: all(shown(number) == (first[0], 1, second[0]) for number in (1, 2, 3)),
            "the first one holds everywhere, and the other is named",
        )


@test
def consumers_go_back_to_a_node_that_has_started_again(folder):
    with three_nodes(folder) as (cluster, party):
        coordinator, (one, two) = attach_everywhere(cluster, party)
        producer = kill_under_load(cluster, party, coordinator, one)
        cluster[coordinator].start()
        party.until(
            lambda: all(
                (row := show(cluster[n], NAME)).coordinator == coordinator
                and row.consumers == len(party.consumers)
                for n in (1, 2, 3)
            ),
            "it coordinates again, for all",
        )
        party.until_answered()
        before = repeats(party)
        late = Producer(cluster[two], "late")
        for _ in range(20):
            late.produce(50)
            party.serve(0)
        party.until_seen([*producer.wanted, *late.wanted])
        party.until_answered()
        expect(repeats(party) - before < 1000, "events came again although nothing failed", before)


@test
def changes_can_be_made_at_any_node(folder):
    with three_nodes(folder) as (cluster, party):
        attach_everywhere(cluster, party)
        producer = Producer(cluster[1], "x")
        producer.produce(100)
        party.until_seen(producer.wanted)
        party.until_answered()
        for number in (1, 2, 3):
            times = party.seen[producer.wanted[0]]
            with wire.Connection(cluster[number]) as admin:
                reply = admin.ask(wire.SUBSCRIPTIONS, None, 3, NAME, "", {})
                expect_equal(reply[0], wire.R_SUBSCRIPTIONS, f"the answer to a reset ({reply})")
            party.until(
                lambda at=times: all(party.seen[data] > at for data in producer.wanted),
                f"all events come again after a reset at node {number}",
            )
            party.until_answered()  # what is acknowledged after a reset is done after it
        with wire.Connection(cluster[2]) as admin:
            reply = admin.ask(wire.SUBSCRIPTIONS, None, 4, NAME, "", {})
            expect_equal(reply[0], wire.R_SUBSCRIPTIONS, f"the answer to a deletion ({reply})")
        for consumer in party.consumers:
            consumer.nodes = consumer.nodes[:1]
            consumer.options = {}
        party.until(lambda: all(c.error for c in party.consumers), "all are told of the deletion")


if __name__ == "__main__":
    main()
