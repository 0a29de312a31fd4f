#!/usr/bin/env python3
"""Three and five real nodes: what is produced anywhere is everywhere, in one order, whatever the
network and the nodes do meanwhile."""

import os
import random

from cluster import Cluster
from load import Producer, by_namespace, check_producer, check_unique
from weir_test import (
    REDUCED,
    Failure,
    deadline_in,
    event_key,
    expect,
    expect_equal,
    main,
    test,
    wait_until,
)

SEED = int(os.environ.get("WEIR_TEST_SEED") or int.from_bytes(os.urandom(4), "big"))
ROUNDS = 2 if REDUCED else 6


@test
def three_fresh_nodes_found_a_cluster_and_share_events(folder):
    with Cluster(folder, 3) as cluster:
        one = cluster[1].produce("/a", "one")
        two = cluster[2].produce("/b", "two")
        cluster.wait_equal()
        events = cluster.check_same_events()
        expect_equal({event["id"] for event in events}, {*one, *two}, "the ids")
        expect_equal({event_key(event["id"])[1] for event in events}, {1, 2}, "the actors")
        names = {node.status()["cluster"]["uuid"] for node in cluster.nodes.values()}
        expect_equal(len(names), 1, "how many clusters there are")


@test
def event_sorts_behind_those_its_node_held(folder):
    with Cluster(folder, 3) as cluster:
        first = cluster[1].produce("/a", *[f"{n}" for n in range(50)])
        cluster.wait_equal()
        second = cluster[3].produce("/a", "later")
        expect(
            event_key(second[0]) > max(map(event_key, first)), "sorts before what was here", second
        )


@test
def one_reachable_peer_is_enough_to_join(folder):
    with Cluster(folder, 3) as cluster:
        cluster[1].produce("/a", *[f"{n}" for n in range(1000)])
        newcomer = cluster.add(4)
        arguments = newcomer.arguments
        only = f"--peer-addr=127.0.0.1:{cluster[2].proxy_port}"
        newcomer.arguments = lambda: [
            word for word in arguments() if not word.startswith("--peer-addr") or word == only
        ]
        newcomer.start()
        cluster.wait_ready()
        newcomer.produce("/b", "mine")
        cluster.wait_equal()
        expect_equal(len(cluster.check_same_events()), 1001, "events")


@test
def nodes_apart_accept_writes_and_agree_when_healed(folder):
    with Cluster(folder, 3) as cluster:
        cluster[1].produce("/a", "before")
        cluster.wait_equal()
        cluster.proxy.part([1], [2, 3])
        for number, node in cluster.nodes.items():
            node.produce(f"/side/{number}", *[f"{number} {n}" for n in range(100)])
        cluster[2].weir("consume", "-n", "/side/3", "--tail", "--limit", "100", "--no-reconnect")
        expect_equal(len(cluster[1].events("-n", "/side/*")), 100, "events on the lone side")
        cluster.proxy.heal()
        cluster.wait_equal()
        expect_equal(len(cluster.check_same_events()), 301, "events")


@test
def read_your_own_writes_on_another_node(folder):
    with Cluster(folder, 3) as cluster:
        for number in range(20):
            produced = cluster[1].weir(
                "produce", "-n", "/a", "-d", f"{number}", "--output", "json"
            ).json_lines()[0]
            cursor = cluster[1].cursor()
            found = cluster[2].weir("get", produced["id"], "--after", cursor, "--output", "json")
            expect_equal(found.json_lines()[0]["data"], f"{number}", "the event elsewhere")


@test
def produce_waits_for_replicas_and_says_how_many(folder):
    with Cluster(folder, 3) as cluster:
        cluster[1].weir("produce", "-n", "/a", "-d", "all", "--replicas", "3", "--timeout", "10s")
        for number in (1, 2, 3):
            expect_equal(len(cluster[number].events("-n", "/a")), 1, f"events on node {number}")
        cluster.proxy.part([1], [2], [3])
        late = cluster[1].weir(
            *("produce", "-n", "/a", "-d", "alone", "--replicas", "2", "--timeout", "300ms"),
            status=None,
        )
        expect(late.status != 0, "fewer nodes than asked for is not success", late)
        expect_equal(len(cluster[1].events("-n", "/a")), 2, "events: nothing is undone")


def check_all(cluster, producers):
    """Everything acknowledged is there, once, with its id, in the order of its producer."""
    cluster.wait_equal(60)
    events = cluster.check_same_events()
    check_unique(events)
    found = by_namespace(events)
    for producer in producers:
        check_producer(
            producer.name,
            producer.acknowledged(),
            found.get(producer.namespace, []),
            producer.line,
        )
    return events


@test
def killed_nodes_lose_nothing_and_repeat_no_id(folder):
    print(f"# seed {SEED}", flush=True)
    chance = random.Random(SEED)
    with Cluster(folder, 3) as cluster:
        producers = []
        running = {}
        for number in cluster.nodes:
            running[number] = Producer(cluster[number], f"p{number}.0", f"/p{number}/0")
            producers.append(running[number])
        for turn in range(ROUNDS):
            victim = chance.choice(list(cluster.nodes))
            target = len(running[victim].acknowledged()) + chance.randrange(200, 2000)
            wait_until(
                lambda v=victim, t=target: len(running[v].acknowledged()) >= t, "progress", 30
            )
            cluster[victim].kill()
            running[victim].broken_off()
            cluster[victim].start()
            cluster.wait_ready()
            name = f"p{victim}.{turn + 1}"
            running[victim] = Producer(cluster[victim], name, f"/p{victim}/{turn + 1}")
            producers.append(running[victim])
        for producer in running.values():
            producer.finish()
        check_all(cluster, producers)


@test
def partitions_of_every_shape_with_writers_on_all_sides(folder):
    print(f"# seed {SEED}", flush=True)
    chance = random.Random(SEED + 1)
    shapes = [
        ([1], [2, 3, 4, 5]),
        ([1, 2], [3, 4, 5]),
        ([1], [2], [3], [4], [5]),
        ([1, 5], [2, 4], [3]),
    ]
    with Cluster(folder, 5) as cluster:
        producers = []
        for turn in range(min(ROUNDS, len(shapes))):
            cluster.proxy.part(*shapes[turn])
            some = [
                Producer(
                    cluster[n], f"p{n}.{turn}", f"/p{n}/{turn}", count=chance.randrange(200, 1500)
                )
                for n in cluster.nodes
            ]
            for producer in some:
                producer.finish()
            producers += some
            cluster.proxy.heal()
        check_all(cluster, producers)


@test
def one_way_and_half_open_links_heal(folder):
    with Cluster(folder, 3) as cluster:
        for source, target in ((1, 2), (2, 1), (3, 1)):
            cluster.proxy.rule(source, target, stopped=True)
            cluster[1].produce("/a", *[f"{source} {n}" for n in range(50)])
            cluster[2].produce("/b", *[f"{source} {n}" for n in range(50)])
            cluster.proxy.heal()
        cluster.wait_equal()
        expect_equal(len(cluster.check_same_events()), 300, "events")


@test
def connections_cut_at_any_byte_change_nothing(folder):
    print(f"# seed {SEED}", flush=True)
    chance = random.Random(SEED + 2)
    with Cluster(folder, 3) as cluster:
        producer = Producer(cluster[1], "p", "/p", count=20000)
        for _ in range(10 * ROUNDS):
            source, target = chance.sample(sorted(cluster.nodes), 2)
            cluster.proxy.rule(source, target, cut_after=chance.randrange(1, 100000))
            before = len(producer.acknowledged())
            wait_until(
                lambda b=before: len(producer.acknowledged()) > b or not producer.is_running(),
                "progress",
            )
        producer.finish()
        cluster.proxy.heal()
        check_all(cluster, [producer])


@test
def slow_link_holds_up_nobody(folder):
    with Cluster(folder, 3) as cluster:
        cluster.proxy.rule(1, 3, bytes_per_second=20000)
        producer = Producer(cluster[1], "p", "/p", count=20000, size=100)
        producer.finish()
        # Node 3 has it by way of node 2, long before the slow link could bring it.
        wait_until(lambda: len(cluster[3].events("-n", "/p")) == 20000, "all on node 3", 60)
        cluster.proxy.heal()
        check_all(cluster, [producer])


@test
def frozen_node_catches_up(folder):
    with Cluster(folder, 3) as cluster:
        cluster[3].freeze()
        producer = Producer(cluster[1], "p", "/p", count=5000)
        producer.finish()
        wait_until(lambda: len(cluster[2].events("-n", "/p")) == 5000, "all on node 2")
        cluster[3].thaw()
        check_all(cluster, [producer])


@test
def newcomer_catches_up_while_traffic_goes_on(folder):
    count = 20000 if REDUCED else 300000
    with Cluster(folder, 3) as cluster:
        cluster[1].produce_lines("/old", (f"{n}" for n in range(count)), seconds=120)
        cluster.wait_equal(60)
        traffic = Producer(cluster[2], "p", "/p")
        newcomer = cluster.add(4).start()
        cluster.wait_ready()
        wait_until(
            lambda: newcomer.status()["events"] >= count, "the old events on the newcomer", 60
        )
        traffic.finish()
        check_all(cluster, [traffic])


class Hopper:
    """A consumer that reads some events from one node, then goes on at another with its cursor."""

    def __init__(self, cluster, chance):
        self.cluster, self.chance = cluster, chance
        self.cursor = "@"
        self.seen = []

    def hop(self):
        nodes = self.cluster.running()
        node = self.chance.choice(nodes)
        limit = str(self.chance.randrange(1, 400))
        path = os.path.join(self.cluster.folder, "cursor")
        with open(path, "w", encoding="ascii") as cursor:
            cursor.write(self.cursor + "\n")
        result = node.weir(
            *("consume", "--no-reconnect", "--output", "json", "--limit", limit),
            *("--cursor-file", path),
            status=None,
        )
        self.seen += [event["id"] for event in result.json_lines()]
        with open(path, encoding="ascii") as cursor:
            self.cursor = cursor.read().strip()


@test
def consumer_that_hops_between_nodes_misses_and_repeats_nothing(folder):
    print(f"# seed {SEED}", flush=True)
    chance = random.Random(SEED + 3)
    with Cluster(folder, 3) as cluster:
        producers = [
            Producer(cluster[n], f"p{n}", f"/p{n}", count=3000, in_flight=16)
            for n in cluster.nodes
        ]
        hopper = Hopper(cluster, chance)
        for turn in range(10 * ROUNDS):
            if turn % 4 == 1:
                alone = chance.choice(list(cluster.nodes))
                cluster.proxy.part([alone], [n for n in cluster.nodes if n != alone])
            if turn % 4 == 3:
                cluster.proxy.heal()
            hopper.hop()
        for producer in producers:
            producer.finish()
        cluster.proxy.heal()
        events = check_all(cluster, producers)
        deadline = deadline_in(60)
        while len(hopper.seen) < len(events):
            before = len(hopper.seen)
            hopper.hop()
            if len(hopper.seen) == before and deadline < deadline_in(0):
                raise Failure(f"{len(hopper.seen)} of {len(events)} events came")
        expect_equal(len(set(hopper.seen)), len(hopper.seen), "events, each once")
        expect_equal(set(hopper.seen), {event["id"] for event in events}, "the events")


if __name__ == "__main__":
    main()
