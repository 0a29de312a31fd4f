#!/usr/bin/env python3
"""Runs the examples of docs/consistency.md: every `$ command` of a console block, in order, on
three nodes; what it prints must be what the page shows, where `...` stands for anything."""

import os
import re
import subprocess

from cluster import Cluster
from weir_test import CLI, ENVIRONMENT, ROOT, SLOWNESS, expect, expect_equal, main, test

PAGE = os.path.join(ROOT, "docs", "consistency.md")
BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def examples():
    """(command, expected output) in the order of the page."""
    with open(PAGE, encoding="utf-8") as page:
        blocks = BLOCK.findall(page.read())
    found = []
    for block in blocks:
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            else:
                found[-1][1].append(line)
    return found


def run_links(cluster, words):
    """`deploy/local-cluster partition 1 2,3` and `heal`."""
    if words[0] == "heal":
        cluster.proxy.heal()
    else:
        expect_equal(words[0], "partition", "the command")
        cluster.proxy.part(*[[int(n) for n in side.split(",")] for side in words[1:]])


@test
def every_example_prints_what_the_page_shows(folder):
    found = examples()
    expect(len(found) > 20, f"only {len(found)} examples")
    script_environment = {**ENVIRONMENT, "PATH": os.path.dirname(CLI) + ":" + os.environ["PATH"]}
    with Cluster(folder, 3) as cluster:
        ports = {f"-p {2999 + n}": f"-p {node.port}" for n, node in cluster.nodes.items()}
        variables = ""
        for command, expected in found:
            if command.startswith("deploy/local-cluster "):
                run_links(cluster, command.split()[1:])
                continue
            for shown, real in ports.items():
                command = command.replace(shown, real)
            ended = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", variables + command],
                cwd=folder,
                env=script_environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=60 * SLOWNESS,
                check=False,
            )
            expect_equal(ended.returncode, 0, f"exit of {command!r}: {ended.stderr.decode()}")
            if re.match(r"\w+=\$\(", command):
                variables += command + "\n"
            lines = ended.stdout.decode().splitlines()
            if expected != ["..."]:
                expect_equal(lines, expected, f"what {command!r} prints")


if __name__ == "__main__":
    main()
