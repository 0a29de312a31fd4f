#!/usr/bin/env python3
"""Who is a member, and the ways in which an id could be issued twice: lost, copied and restored
disks, taken actor ids, other clusters, wrong secrets, members that retire."""

import os
import shutil
import socket

from cluster import Cluster, damage_tables, produce_is_refused, reads_all
from weir_test import event_key, expect, expect_equal, main, test, wait_until
from wire import pack


def write_secret(folder, name, text):
    path = os.path.join(folder, name)
    with open(path, "w", encoding="ascii") as secret:
        secret.write(text + "\n")
    os.chmod(path, 0o600)
    return path


def config_with_secret(folder, name, text):
    path = os.path.join(folder, f"{name}.yaml")
    with open(path, "w", encoding="ascii") as config:
        config.write(f"cluster_secret_file: {write_secret(folder, name, text)}\n")
    return path


def actor_of(node):
    return node.cluster_status()["node"]["actor"]


def anybody_has_alarm(cluster, code):
    return any(node.has_alarm(code) for node in cluster.running())


def retire(node, actor, *options):
    node.weir("cluster", "retire", str(actor), "--yes", *options, seconds=30)


@test
def node_that_lost_its_disk_joins_with_a_new_actor(folder):
    """Nobody can know that the old one is gone for good, so it is retired first."""
    with Cluster(folder, 3, names_actors=False) as cluster:
        cluster[1].produce("/a", "before")
        cluster.wait_equal()
        actor = actor_of(cluster[3])
        cluster[3].kill()
        shutil.rmtree(cluster[3].data)
        cluster[3].start()
        wait_until(lambda: anybody_has_alarm(cluster, "waiting_for_members"), "an alarm")
        wait_until(lambda: f"actor {actor}" in produce_is_refused(cluster[3]), "for whom it waits")
        retire(cluster[1], actor)
        cluster.wait_ready()
        expect(actor_of(cluster[3]) != actor, "the actor of the lost disk is used again")
        cluster[3].produce("/a", "after")
        cluster.wait_equal()
        expect_equal(len(cluster.check_same_events()), 2, "events")
        wait_until(lambda: not anybody_has_alarm(cluster, "waiting_for_members"), "no alarm")


@test
def taken_actor_is_refused_by_name(folder):
    with Cluster(folder, 3) as cluster:
        cluster[1].produce("/a", "x")
        cluster[3].kill()
        shutil.rmtree(cluster[3].data)
        cluster[3].start()
        wait_until(lambda: "actor" in produce_is_refused(cluster[3]), "the refusal names the actor")


@test
def cloned_directory_does_not_produce(folder):
    with Cluster(folder, 3) as cluster:
        cluster[2].produce("/a", "x")
        cluster.wait_equal()
        cluster[2].stop()
        clone = cluster.add(4)
        shutil.copytree(cluster[2].data, clone.data)
        cluster[2].start()
        cluster.wait_ready()
        real = clone.arguments
        clone.arguments = lambda: [word if word != "4" else "2" for word in real()]
        clone.start()
        wait_until(lambda: not clone.may_produce() and clone.alarms(), "the clone is noticed")
        produce_is_refused(clone)
        ids = cluster[2].produce("/a", "the real one")
        expect_equal(event_key(ids[0])[1], 2, "its actor")
        clone.kill()
        cluster.nodes.pop(4)
        cluster.wait_equal()
        expect_equal(len(cluster.check_same_events()), 2, "events")


@test
def restored_backup_does_not_issue_ids_again(folder):
    with Cluster(folder, 3) as cluster:
        cluster[2].produce("/a", "in the backup")
        cluster.wait_equal()
        cluster[2].stop()
        backup = os.path.join(folder, "backup")
        shutil.copytree(cluster[2].data, backup)
        cluster[2].start()
        cluster.wait_ready()
        cluster[2].produce("/a", *[f"after it {n}" for n in range(10)])
        cluster.wait_equal()
        cluster[2].kill()
        shutil.rmtree(cluster[2].data)
        shutil.copytree(backup, cluster[2].data)
        cluster[2].start()
        wait_until(lambda: cluster[2].alarms(), "an alarm on the restored node")
        produce_is_refused(cluster[2])
        wait_until(lambda: len(cluster[2].events()) == 11, "what the backup lacks comes back")
        cluster[2].weir("cluster", "rescue", "--yes", seconds=30)
        cluster.wait_ready()
        ids = cluster[2].produce("/a", "under a new actor")
        expect(event_key(ids[0])[1] not in (1, 2, 3), "the rescued node has a new actor", ids)
        cluster.wait_equal()
        expect_equal(len(cluster.check_same_events()), 12, "events")


@test
def node_of_another_cluster_is_refused(folder):
    other = os.path.join(folder, "other")
    os.mkdir(other)
    with Cluster(folder, 3) as cluster, Cluster(other, 1) as stranger:
        cluster[1].produce("/a", "x")
        stranger[1].produce("/b", "y")
        stranger[1].stop()
        real = stranger[1].arguments
        stranger[1].arguments = lambda: [
            *real(), f"--peer-addr=127.0.0.1:{cluster[1].proxy_port}"
        ]  # fmt: skip
        stranger[1].start()
        wait_until(lambda: stranger[1].has_alarm("another_cluster"), "an alarm there")
        cluster[1].process.stderr.wait_line("warning cluster: .* refused: .* belongs to cluster")
        expect_equal(cluster[1].alarms(), [], "alarms of who is dialled by a stranger")
        expect_equal([e["data"] for e in stranger[1].events()], ["y"], "its events")
        expect_equal([e["data"] for e in cluster[1].events()], ["x"], "ours")


@test
def wrong_secret_is_refused(folder):
    right = config_with_secret(folder, "right", "open sesame, and be quick")
    wrong = config_with_secret(folder, "wrong", "closed sesame, take your time")
    with Cluster(folder, 2, "--config", right) as cluster:
        cluster[1].produce("/a", "x")
        cluster.wait_equal()
        cluster[2].stop()
        cluster[2].options = ["--config", wrong]
        cluster[2].start()
        cluster[1].produce("/a", "y")
        wait_until(lambda: cluster[2].has_alarm("secret"), "an alarm there")
        expect_equal(len(cluster[2].events()), 1, "events that came without the secret")
        cluster[2].stop()
        cluster[2].options = ["--config", right]
        cluster[2].start()
        cluster.wait_ready()
        cluster.wait_equal()
        wait_until(lambda: not anybody_has_alarm(cluster, "secret"), "no alarm any more")


@test
def retired_member_holds_nothing_back(folder):
    with Cluster(folder, 3) as cluster:
        cluster[3].produce("/a", "of three")
        cluster.wait_equal()
        cluster[3].kill()
        refused = cluster[1].weir("cluster", "retire", "3", status=None)
        expect(refused.status != 0, "a dangerous command asks", refused)
        retire(cluster[1], 3)
        cluster[1].produce("/a", "after")
        found = cluster[2].weir(
            *("consume", "--order", "stable", "--tail", "--limit", "2", "--output", "json"),
            seconds=20,
        ).json_lines()
        expect_equal([event["data"] for event in found], ["of three", "after"], "stable order")
        cluster[3].start()
        wait_until(lambda: cluster[3].has_alarm("retired"), "the retired one is told")
        produce_is_refused(cluster[3], "retired")
        cluster[3].kill()


@test
def member_that_leaves_takes_nothing_with_it(folder):
    with Cluster(folder, 3) as cluster:
        cluster[2].produce("/a", *[f"{n}" for n in range(500)])
        cluster[2].weir("cluster", "leave", "--yes", seconds=30)
        produce_is_refused(cluster[2])
        cluster[2].stop()
        cluster.wait_equal()
        expect_equal(len(cluster[1].events()), 500, "events")


@test
def garbage_on_the_port_of_peers_disturbs_nobody(folder):
    with Cluster(folder, 2) as cluster:
        port = cluster[1].port
        hello = pack([96, 0])
        for message in (hello, hello + b"\x00" * 100, pack([104, 0, 1, b"x" * 1000]), pack([97])):
            for cut in (5, 7, len(message) + 4):
                with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
                    frame = len(message).to_bytes(4, "big") + message
                    connection.sendall(frame[:cut])
                    connection.shutdown(socket.SHUT_WR)
                    while connection.recv(4096):
                        pass
        cluster[1].produce("/a", "x")
        cluster.wait_equal()


@test
def node_asks_for_whom_it_waits(folder):
    """One of two fresh nodes alone neither founds nor produces, and says so."""
    with Cluster(folder, 2, start=False) as cluster:
        cluster[1].start()
        text = produce_is_refused(cluster[1])
        expect(str(cluster[2].proxy_port) in text, "the refusal names the missing peer", text)
        cluster[2].start()
        cluster.wait_ready()
        cluster[1].produce("/a", "x")
        cluster.wait_equal()


@test
def chunk_that_rots_is_fetched_from_a_peer(folder):
    """See test_damage.py for how a single node names it."""
    with Cluster(folder, 2, start=False) as cluster:
        for node in cluster.nodes.values():
            node.env = {"WEIR_COMPRESSION": "none"}  # tables as large as what is in them
        cluster.start()
        cluster[1].produce_lines("/a", (f"line {n} {'x' * 2000}" for n in range(20000)))
        cluster.wait_equal()
        cluster[2].stop()
        damage_tables(os.path.join(cluster[2].data, "log"))
        cluster[2].start()
        cluster.wait_ready()
        wait_until(lambda: reads_all(cluster[2]), "everything can be read again", 30)
        cluster.check_same_events()
        expect(cluster[2].cluster_status()["repaired_chunks"] > 0, "nothing was repaired")


if __name__ == "__main__":
    main()
