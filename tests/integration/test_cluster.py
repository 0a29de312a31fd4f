#!/usr/bin/env python3
"""deploy/local-cluster: up, down, status, logs, twice over and after a crash."""

import os
import re
import signal
import subprocess

from weir_test import BUILD, ENVIRONMENT, ROOT, expect, expect_equal, free_port, main, run_weir
from weir_test import Skip, test

SCRIPT = os.path.join(ROOT, "deploy", "local-cluster")
FOLDER = os.path.join(BUILD, "cluster", "1")


def cluster(*arguments, status=0):
    """Runs it over the build that is being tested, without building another one."""
    result = subprocess.run(
        [SCRIPT, *arguments],
        env={**ENVIRONMENT, "WEIR_CLUSTER_BUILD": os.path.relpath(BUILD, ROOT)},
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


@test
def a_cluster_goes_up_and_down(_):
    if not BUILD.startswith(ROOT + os.sep):
        raise Skip("the build directory is not in the tree")
    port = str(free_port())
    env = {"WEIR_PORT": port}
    try:
        cluster("down")
        said = cluster("up", "-p", port)
        path = os.path.join(BUILD, "client-cli")
        first = next(line for line in said.stdout.splitlines() if line.startswith("    "))
        expect_equal(first.strip(), f'export PATH="{path}:$PATH"', "the first thing to try")
        run_weir("produce", "-n", "/a", "-d", "kept", env=env)
        before = pid()

        cluster("up", "-p", port)
        expect_equal(pid(), before, "the node's pid after a second up")
        text = cluster("status").stdout
        expect(str(before) in text and port in text, "status does not say where it runs", text)
        expect("ready: native" in cluster("logs").stdout, "no log")

        os.kill(before, signal.SIGKILL)  # the pid file stays and lies
        cluster("up", "-p", port)
        expect(pid() != before, "no new node")
        events = run_weir("consume", "-n", "/a", "--output", "raw", env=env).lines
        expect("kept" in events, "the data is gone", events)

        cluster("down")
        expect(not os.path.exists(os.path.join(FOLDER, "pid")), "the pid file is left behind")
        cluster("status", status=1)
        cluster("down")
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
    for arguments in ((), ("sideways",), ("up", "-p", "x"), ("up", "-p", "70000"), ("up", "-p")):
        result = cluster(*arguments, status=2)
        expect(re.search("usage|needs a port", result.stderr), "no word about it", result)
    cluster("--help")


if __name__ == "__main__":
    main()
