#!/usr/bin/env python3
"""deploy/local-cluster: up, down, status, logs, twice over and after a crash; parted and healed."""

import contextlib
import os
import random
import re
import shutil
import signal
import socket
import subprocess

from weir_test import BUILD, ENVIRONMENT, ROOT, expect, expect_equal, main, run_weir
from weir_test import Skip, test, wait_until

SCRIPT = os.path.join(ROOT, "deploy", "local-cluster")
CLUSTER = os.path.join(BUILD, "cluster-of-tests")
FOLDER = os.path.join(CLUSTER, "1")


def cluster(*arguments, status=0):
    """Runs it over the build that is being tested, without building another one."""
    result = subprocess.run(
        [SCRIPT, *arguments],
        env={
            **ENVIRONMENT,
            "WEIR_CLUSTER_BUILD": os.path.relpath(BUILD, ROOT),
            "WEIR_CLUSTER_DIRECTORY": CLUSTER,
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    if status is not None:
        expect_equal(result.returncode, status, f"exit of {arguments}: {result}")
    return result


def pid():
    with open(os.path.join(FOLDER, "pid"), encoding="ascii") as file:
        return int(file.read())


def free_base():
    """A port with free ones behind it: for nodes, and 200 above for the links between them.

    Below those that connections take for themselves (32,768 and up), so that they stay free.
    """
    for _ in range(100):
        base = random.randrange(12000, 32000)
        with contextlib.ExitStack() as stack:
            try:
                for port in (*range(base, base + 4), *range(base + 200, base + 204)):
                    stack.enter_context(socket.create_server(("127.0.0.1", port)))
                return base
            except (OSError, OverflowError):
                continue
    raise Skip("no free ports")


def data_on(port, *options):
    return run_weir("consume", "--output", "raw", *options, env={"WEIR_PORT": str(port)}).lines


def produce(port, text):
    run_weir("produce", "-n", "/a", "-d", text, env={"WEIR_PORT": str(port)})


@test
def a_cluster_goes_up_and_down(_):
    if not BUILD.startswith(ROOT + os.sep):
        raise Skip("the build directory is not in the tree")
    base = free_base()
    try:
        cluster("down")
        shutil.rmtree(CLUSTER, ignore_errors=True)
        said = cluster("up", "-p", str(base))
        path = os.path.join(BUILD, "client-cli")
        first = next(line for line in said.stdout.splitlines() if line.startswith("    "))
        expect_equal(first.strip(), f'export PATH="{path}:$PATH"', "the first thing to try")
        produce(base, "kept")
        wait_until(lambda: "kept" in data_on(base + 2), "the event on the third node", 20)
        before = pid()

        cluster("up", "-p", str(base))
        expect_equal(pid(), before, "the node's pid after a second up")
        text = cluster("status").stdout
        expect(str(before) in text and str(base) in text, "status: not where it runs", text)
        expect("ready: native" in cluster("logs").stdout, "no log")

        os.kill(before, signal.SIGKILL)  # the pid file stays and lies
        cluster("up", "-p", str(base))
        expect(pid() != before, "no new node")
        expect("kept" in data_on(base, "-n", "/a"), "the data is gone")

        cluster("down")
        expect(not os.path.exists(os.path.join(FOLDER, "pid")), "the pid file is left behind")
        cluster("status", status=1)
        cluster("down")
    finally:
        cluster("down", status=None)


@test
def a_network_is_parted_and_healed(_):
    if not BUILD.startswith(ROOT + os.sep):
        raise Skip("the build directory is not in the tree")
    base = free_base()
    try:
        cluster("down")
        shutil.rmtree(CLUSTER, ignore_errors=True)
        cluster("up", "3", "-p", str(base))
        cluster("partition", "1,2", "3")
        produce(base, "left")
        produce(base + 2, "right")
        wait_until(lambda: "left" in data_on(base + 1), "the event on node 2", 20)
        expect_equal(data_on(base), ["left"], "node 1 while parted")
        expect_equal(data_on(base + 2), ["right"], "node 3 while parted")
        cluster("heal")
        for port in range(base, base + 3):
            wait_until(lambda at=port: len(data_on(at)) == 2, f"both events on {port}", 30)

        cluster("stop", "2")
        cluster("status", status=1)
        produce(base, "without 2")
        cluster("start", "2")
        wait_until(lambda: "without 2" in data_on(base + 1), "the event on node 2", 30)

        cluster("up", "4")
        wait_until(lambda: len(data_on(base + 3)) == 3, "all events on a node that joined", 30)
    finally:
        cluster("down", status=None)


@test
def a_pid_file_with_somebody_elses_number_harms_nobody(_):
    if not BUILD.startswith(ROOT + os.sep):
        raise Skip("the build directory is not in the tree")
    cluster("down")
    os.makedirs(FOLDER, exist_ok=True)
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as other:
        with open(os.path.join(FOLDER, "pid"), "w", encoding="ascii") as file:
            file.write(f"{other.pid}\n")
        cluster("status", status=1)
        cluster("down")
        expect(other.poll() is None, "it was killed")
        other.stdin.close()


@test
def wrong_usage_exits_2(_):
    for arguments in (
        *((), ("sideways",), ("up", "-p", "x"), ("up", "-p", "70000"), ("up", "-p")),
        *(("up", "0"), ("up", "21"), ("up", "down"), ("stop",), ("start", "99"), ("1",)),
    ):
        result = cluster(*arguments, status=2)
        expect(re.search("usage|needs a port", result.stderr), "no word about it", result)
    cluster("--help")


if __name__ == "__main__":
    main()
