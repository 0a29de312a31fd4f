#!/usr/bin/env python3
"""What an operator does when members are gone, damaged, or say what cannot be true: admit, retire
with and without --force, give up what is lost, forgive."""

import contextlib
import os
import re

from cluster import Cluster, damage_tables, produce_is_refused, reads_all
from weir_test import event_key, expect, expect_equal, main, test, wait_until
from wire import Closed, Connection, pack

P_HELLO, P_PROOF, P_NOTE, P_REFUSE = 96, 97, 98, 108
REFUSED_COUNTER = 9


def retire(node, actor, *options, status=0):
    arguments = ("cluster", "retire", str(actor), "--yes", *options)
    return node.weir(*arguments, seconds=30, status=status)


@test
def newcomer_waits_for_a_member_that_is_away(folder):
    with Cluster(folder, 3) as cluster:
        cluster[1].produce("/a", "before")
        cluster.wait_equal()
        cluster[3].kill()
        newcomer = cluster.add(4).start()
        wait_until(
            lambda: any(cluster[n].has_alarm("waiting_for_members") for n in (1, 2)), "an alarm"
        )
        wait_until(lambda: "actor 3" in produce_is_refused(newcomer), "for whom it waits")
        cluster[1].produce("/a", "meanwhile")
        cluster[3].start()
        cluster.wait_ready()
        newcomer.produce("/a", "mine")
        cluster.wait_equal()
        expect_equal(len(cluster.check_same_events()), 3, "events")
        for number in (1, 2):
            wait_until(lambda n=number: not cluster[n].alarms(), f"no alarm on node {number}")


@test
def retiring_waits_for_the_absent_unless_it_is_forced(folder):
    with Cluster(folder, 4) as cluster:
        cluster[4].produce("/a", "of four")
        cluster.wait_equal()
        cluster[4].kill()
        cluster[3].kill()
        refused = retire(cluster[1], 4, status=None)
        expect(refused.status != 0 and "actor 3" in refused.stderr, "who is missing", refused)
        expect("--force" in refused.stderr, "the remedy", refused)
        retire(cluster[1], 4, "--force")
        cluster[2].produce("/a", "after")
        cluster[3].start()
        cluster.wait_ready()
        cluster[3].produce("/a", "it has come back")
        cluster.wait_equal()
        expect_equal(len(cluster.check_same_events()), 3, "events")
        found = cluster[3].weir(
            *("consume", "--order", "stable", "--tail", "--limit", "3", "--output", "json"),
            seconds=20,
        ).json_lines()
        expect_equal(found, cluster[1].events(), "stable order")


@test
def three_of_five_go_on_and_are_five_again(folder):
    with Cluster(folder, 5) as cluster:
        for number in range(1, 6):
            cluster[number].produce("/a", f"of {number}")
        cluster.wait_equal()
        cluster[4].kill()
        cluster[5].kill()
        for number in range(1, 4):
            cluster[number].produce("/a", f"without two, of {number}")
        wait_until(lambda: len({n.cursor() for n in cluster.running()}) == 1, "equal vectors")
        retire(cluster[1], 4, "--force")
        retire(cluster[2], 5)
        for number in (6, 7):
            cluster.add(number).start()
        cluster.wait_ready()
        cluster[6].produce("/a", "of 6")
        cluster[7].produce("/a", "of 7")
        cluster.wait_equal()
        expect_equal(len(cluster.check_same_events()), 10, "events")
        states = {m["actor"]: m["state"] for m in cluster[3].cluster_status()["members"]}
        expect_equal({a for a, state in states.items() if state == "active"}, {1, 2, 3, 6, 7}, "")
        found = cluster[7].weir(
            *("consume", "--order", "stable", "--tail", "--limit", "10", "--output", "json"),
            seconds=20,
        ).json_lines()
        expect_equal(found, cluster[1].events(), "stable order")


@test
def what_nobody_has_any_more_is_given_up(folder):
    with Cluster(folder, 1, start=False) as cluster:
        node = cluster[1]
        node.env = {"WEIR_COMPRESSION": "none"}  # tables as large as what is in them
        node.start()
        ids = node.produce_lines("/a", (f"line {n} {'x' * 2000}" for n in range(20000)))
        node.stop()
        damage_tables(os.path.join(node.data, "log"))
        node.start()
        lost = give_up_what_is_damaged(node)
        expect_equal(node.alarms(), [], "alarms")
        held = [event["id"] for event in node.events("-n", "/a")]
        gone = set(ids) - set(held)
        expect_equal(gone, {i for i in ids if is_in(i, lost)}, "what is gone")
        node.restart()
        expect_equal([event["id"] for event in node.events("-n", "/a")], held, "after a restart")


def give_up_what_is_damaged(node):
    """The ranges, as (actor, first, last)."""
    lost = []
    while not reads_all(node):
        wait_until(lambda: node.has_alarm("damaged_chunk"), "an alarm")
        text = next(a["text"] for a in node.alarms() if a["code"] == "damaged_chunk")
        actor, first, last = re.search(r"lost (\d+) (\d+)\.\.(\d+)", text).groups()
        node.weir("cluster", "lost", actor, f"{first}..{last}", "--yes")
        lost.append((int(actor), int(first), int(last)))
        wait_until(lambda t=text: t not in [a["text"] for a in node.alarms()], "another alarm")
        expect(len(lost) < 100, "there is no end of it", lost)
    expect(lost, "nothing was damaged")
    return lost


def is_in(text, ranges):
    counter, actor = event_key(text)
    return any(actor == a and first <= counter <= last for a, first, last in ranges)


class FalsePeer(Connection):
    """Says that it is a member, and then whatever it likes."""

    def __init__(self, node, actor):
        super().__init__(node, hello=False)
        status = node.cluster_status()
        uuid = bytes.fromhex(status["cluster"]["uuid"].replace("-", ""))
        self.say(
            *(P_HELLO, 1, 1, 3, "a test", "weir", uuid, os.urandom(16), actor, 0, False, 1, [7]),
            *("", os.urandom(32)),
        )
        expect_equal(self.receive()[0], P_HELLO, "what comes first")
        self.say(P_PROOF, b"")
        expect_equal(self.receive()[0], P_PROOF, "what comes then")

    def say(self, kind, *elements):
        self.send_frame(pack([kind, 0, *elements]))

    def note(self, actor, counter):
        with contextlib.suppress(Closed):
            self.say(P_NOTE, 0, [[actor, counter, bytes(16)]])

    def refusal(self):
        """The code with which the connection ends."""
        said = [m for m in self.expect_closed() if m[0] == P_REFUSE]
        return said[-1][2] if said else None


@test
def counter_from_nowhere_changes_nothing_until_it_is_forgiven(folder):
    with Cluster(folder, 2) as cluster:
        cluster[1].produce("/a", "before")
        with FalsePeer(cluster[1], 9) as peer:
            peer.note(9, 1 << 60)
            expect_equal(peer.refusal(), REFUSED_COUNTER, "why it is refused")
        expect(cluster[1].has_alarm("counter_from_nowhere"), "no alarm", cluster[1].alarms())
        low = event_key(cluster[1].produce("/a", "the clock is as it was")[0])[0]
        expect(low < 1 << 40, "the clock was lifted", low)
        cluster[2].weir("cluster", "forgive", "9")
        wait_until(lambda: not cluster[1].alarms(), "no alarm")
        with FalsePeer(cluster[1], 9) as peer:
            peer.note(9, 1 << 30)
            wait_until(
                lambda: event_key(cluster[1].produce("/a", "behind it")[0])[0] > 1 << 30,
                "the clock goes above what is believed",
            )
        cluster.wait_equal()
        cluster.check_same_events()


if __name__ == "__main__":
    main()
