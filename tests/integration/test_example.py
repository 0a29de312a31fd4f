#!/usr/bin/env python3
"""deploy/examples/load-debian-packages: real input, read back by globs, compared with grep."""

import glob
import json
import os
import subprocess

from weir_test import CLI, ROOT, Server, Skip, expect, expect_equal, main, test

EXAMPLE = os.path.join(ROOT, "deploy", "examples", "load-debian-packages")
STATUS = "/var/lib/dpkg/status"


def load(server, *arguments):
    subprocess.run(
        [EXAMPLE, *arguments],
        env={**os.environ, **server.client_env(), "WEIR": CLI},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        timeout=300,
        check=True,
    )


def grep(path, pattern):
    """How many lines match, says grep."""
    script = 'case $1 in *status) cat "$1";; *) /usr/lib/apt/apt-helper cat-file "$1";; esac'
    result = subprocess.run(
        ["sh", "-c", f'({script}) | grep -c -E "$2"', "sh", path, pattern],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, "LC_ALL": "C"},
    )  # fmt: skip
    return int(result.stdout)


def count(server, *patterns):
    arguments = [word for pattern in patterns for word in ("-n", pattern)]
    text = server.weir("consume", *arguments, "--output", "json", seconds=120).stdout
    return text.count("\n")


def compare(server, path):
    expect_equal(count(server, "/debian/**"), grep(path, "^Package: "), "packages")
    for section in ("libs", "libdevel", "python", "games", "contrib/.*"):
        pattern = section.replace(".*", "**")
        pattern = f"/debian/{pattern}/*" if "*" not in pattern else f"/debian/{pattern}"
        found = grep(path, f"^Section: {section}$")
        expect_equal(count(server, pattern), found, f"packages of {pattern}")
    expect_equal(
        count(server, "/debian/**/lib*"), grep(path, "^Package: lib"), "packages whose name is lib*"
    )
    expect_equal(
        count(server, "/debian/**/[a-c]*", "/debian/**/?[a-z]*-dev"),
        grep(path, "^Package: ([a-c].*|.[a-z].*-dev)$"),
        "packages of two patterns",
    )
    rows = server.weir("namespaces", "/debian/**", "--output", "json", seconds=60).json_lines()
    expect_equal(sum(row["events"] for row in rows), grep(path, "^Package: "), "events in rows")


@test
def the_packages_that_dpkg_knows(folder):
    if not os.path.exists(STATUS):
        raise Skip("no dpkg here")
    server = Server(folder)
    load(server, "--no-lists")
    compare(server, STATUS)
    one = server.events("-n", "/debian/**/dpkg")[0]
    expect(one["data"].startswith("Package: dpkg\n"), "another paragraph", one)
    expect_equal(one["attributes"]["list"], "status", "attribute")
    server.restart()
    compare(server, STATUS)


@test
def a_package_list_of_apt(folder):
    lists = sorted(glob.glob("/var/lib/apt/lists/*_Packages*"), key=os.path.getsize)
    if not lists:
        raise Skip("apt keeps no lists here")
    server = Server(folder)
    load(server, lists[0])
    compare(server, lists[0])


@test
def printing_needs_no_server(_):
    result = subprocess.run(
        [EXAMPLE, "--print", "--no-lists"], stdin=subprocess.DEVNULL, capture_output=True,
        text=True, timeout=60, check=True,
    )  # fmt: skip
    events = [json.loads(line) for line in result.stdout.splitlines()]
    expect_equal(len(events), grep(STATUS, "^Package: "), "events")


if __name__ == "__main__":
    main()
