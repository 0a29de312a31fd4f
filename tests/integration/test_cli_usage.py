#!/usr/bin/env python3
"""The weir command without any server: what it refuses by itself, and what it says then."""

import os
import re
import shlex
import subprocess

from weir_test import CLI, expect, expect_equal, free_port, main, run_weir, test

FAILED, USAGE, NO_CONNECTION = 1, 2, 3

# Nothing listens there: whatever gets as far as connecting exits with 3.
NOWHERE = {"WEIR_HOST": "127.0.0.1", "WEIR_PORT": str(free_port())}


def refused(arguments, word, env=None):
    result = run_weir(*arguments, env={**NOWHERE, **(env or {})}, status=USAGE)
    expect(word in result.stderr, f"'{word}' is not in what it says", result)
    expect_equal(result.stdout, "", f"stdout of weir {' '.join(arguments)}")


@test
def options_that_contradict_each_other_are_named(_):
    for arguments, word in (
        (("consume", "-s", "1.1", "--from", "end"), "--from"),
        (("consume", "--last", "3", "--since", "1h"), "--since"),
        (("consume", "--from", "@", "--from", "end"), "--from"),
        (("produce", "-n", "/a", "--lines", "-", "--json", "-"), "--json"),
        (("produce", "-n", "/a", "--lines", "-", "-d", "x"), "-d"),
        (("produce", "--json", "-", "-d", "x"), "-d"),
        (("bench", "produce", "replay"), "replay"),
        (("get", "1.1", "2.1"), "2.1"),
        (("last", "1", "2"), "2"),
        (("namespaces", "/a", "/b"), "/b"),
        (("consume", "/a/**"), "-n"),
        (("produce", "/a"), "-d"),
        (("produce", "-n", "/a", "--timeout", "1s"), "--replicas"),
        (("consume", "--marks", "--order", "stable"), "--marks"),
        (("get", "1.1", "--after-timeout", "1s"), "--after"),
        (("bench", "replicate"), "--to"),
        (("bench", "produce", "--to", "a:1"), "--to"),
        (("cluster", "status", "--force"), "--force"),
        (("cluster", "leave", "--force"), "--force"),
        (("cluster", "status", "--wait", "1s"), "--wait"),
        (("cluster", "forgive", "3", "--yes"), "--yes"),
        (("cluster", "leave", "3"), "3"),
        (("cluster", "retire"), "actor"),
        (("cluster", "lost", "3"), "range"),
    ):
        refused(arguments, word)


@test
def wrong_values_are_named(_):
    for arguments in (
        ("consume", "-l", "0"),
        ("consume", "-l", "99999999999999999999"),
        ("consume", "--last", "0"),
        ("consume", "-b", "0"),
        ("consume", "--heartbeat", "0"),
        ("consume", "--since", "10"),
        ("consume", "--since", "2026-02-30T00:00:00Z"),
        ("consume", "--not-before", "yesterday"),
        ("consume", "--attr", "no-equals-sign"),
        ("consume", "--attr", "=value"),
        ("consume", *("--attr", "k=v") * 17),
        ("consume", "--from", "@1.1,"),
        ("consume", "-s", "0000000000000000000000001"),
        ("consume", "--output", "JSON"),
        ("last", "0"),
        ("get", "1.1.1"),
        ("get", "@1.1"),
        ("produce", "-n", "/$x"),
        ("produce", "-n", "/a", "--attr", "=v"),
        ("produce", "-n", "/a", "--attr", "p=1.1"),
        ("produce", "-n", "/a", "--output", "raw"),
        ("namespaces", "--output", "raw"),
        ("bench", "produce", "--rate", "0"),
        ("bench", "replay", "-n", "/***"),
        ("ping", "--output", "xml"),
        ("completion",),
        ("cluster",),
        ("cluster", "join"),
        ("cluster", "retire", "0"),
        ("cluster", "forgive", "65536"),
        ("cluster", "lost", "3", "9..5"),
        ("cluster", "lost", "3", "0..5"),
        ("cluster", "verify", "--wait", "10"),
        ("consume", "--order", "random"),
        ("consume", "--after", "1.1"),
        ("namespaces", "--after", "@1"),
        ("produce", "-n", "/a", "--replicas", "0"),
        ("produce", "-n", "/a", "--replicas", "17"),
        ("bench", "replicate", "--to", "localhost"),
        ("ping", "-H", "a,"),
        ("ping", "-H", "a:0"),
        ("ping", "-H", "[::1"),
        ("ping", "-p", "0"),
        ("ping", "-p", "65536"),
        ("ping", "--socket", "/" + "x" * 200),
    ):
        refused(arguments, arguments[-1][:20])
    refused(("produce", "-n", "/a", "--attr", "$x=1"), '"$x"')
    refused(("ping", *("-H", "a,b") * 33), "64")
    refused(("ping",), "WEIR_PORT", {"WEIR_PORT": "http"})
    refused(("ping",), "WEIR_HOST", {"WEIR_HOST": "a,,b"})


@test
def a_namespace_that_is_not_utf8_is_refused(_):
    arguments = [CLI, "produce", "-n", b"/\xff"]
    result = subprocess.run(
        arguments, env={**os.environ, **NOWHERE}, capture_output=True, timeout=60, check=False
    )
    expect_equal(result.returncode, USAGE, "exit status")


@test
def a_cursor_file_that_holds_none_is_named(folder):
    path = os.path.join(folder, "cursor")
    with open(path, "w", encoding="utf-8") as file:
        file.write("yesterday\n")
    refused(("consume", "--cursor-file", path), path)
    result = run_weir("consume", "--cursor-file", folder + "/no/cursor", env=NOWHERE, status=FAILED)
    expect("/no/cursor" in result.stderr, "the file is not named", result)
    expect_equal(os.listdir(folder), ["cursor"], "files")


@test
def right_values_get_as_far_as_connecting(_):
    for arguments in (
        ("consume", "--since", "1h30m", "-n", "/a/**", "-n", "/b", "-l", "5", "-t"),
        ("consume", "--since", "2026-11-21T01:56:39.5+01:00"),
        ("consume", "--from", "@2.2,1.1", "-b", "100", "--heartbeat", "1000"),
        ("consume", "-s", "1-1", "--output", "raw", "--no-reconnect"),
        ("consume", "--last", "5"),
        ("last", "-n", "/a/*", "3"),
        ("get", "0000000000000000000100001"),
        ("namespaces", "/**"),
        ("produce", "-n", "a", "-P", "7.1", "--attr", "k=", "-d", "", "-d", "x"),
        ("bench", "fanout", "--consumers", "3"),
        ("bench", "replicate", "--to", "[::1]:3001"),
        ("consume", "--order", "stable", "--after", "@1.1", "--after-timeout", "10s"),
        ("consume", "--order", "arrival", "--marks"),
        ("last", "--after", "@"),
        ("produce", "-n", "/a", "--replicas", "16", "--timeout", "1m", "--after", "@1.1"),
        ("cluster", "verify", "--wait", "0s"),
        ("cluster", "retire", "3", "--force", "--yes"),
        ("cluster", "lost", "3", "7", "--yes"),
        ("cluster", "lost", "65535", "1..9223372036854775807", "--yes"),
    ):
        run_weir(*arguments, env=NOWHERE, status=NO_CONNECTION)


@test
def what_cannot_be_undone_is_not_done_unasked(_):
    for arguments, word in (
        (("cluster", "retire", "3"), "Actor 3"),
        (("cluster", "leave"), "leave"),
        (("cluster", "rescue"), "rescue"),
        (("cluster", "lost", "3", "5..9"), "Events 5 to 9 of actor 3"),
    ):
        result = run_weir(*arguments, env=NOWHERE, status=USAGE)
        expect("--yes" in result.stderr, "it does not say how to do it", result)
        expect(word.lower() in result.stderr.lower(), "it does not say what it would do", result)


@test
def a_flag_beats_the_environment(_):
    port = str(free_port())
    for arguments, env, place in (
        (("ping",), {"WEIR_SOCKET": "/nonexistent/weir.sock"}, "/nonexistent/weir.sock"),
        (("-p", port, "ping"), {"WEIR_SOCKET": "/nonexistent/weir.sock"}, port),
        (("--socket", "/nonexistent/other.sock", "ping"), {}, "/nonexistent/other.sock"),
        (("ping", "-H", "::1", "-p", port), {}, "::1"),
        (("-H", "127.0.0.2", "ping", "-H", "127.0.0.3"), {}, "127.0.0.3"),
    ):
        result = run_weir(*arguments, env={**NOWHERE, **env}, status=NO_CONNECTION)
        expect(place in result.stderr, f"{place} is not named", result)


@test
def completions_know_every_option(_):
    for shell in ("bash", "zsh", "fish"):
        script = run_weir("completion", shell).stdout
        for command in ("produce", "consume", "last", "bench", "cluster", "subscriptions", "exec"):
            text = run_weir(command, "--help").stdout
            for option in set(re.findall(r"--([a-z-]+)", text.split("Mandatory")[0])):
                if option not in ("help", "usage", "version"):
                    expect(option in script, f"{shell}: --{option} of {command} is missing")


@test
def colons_and_brackets_mean_nothing_in_the_words_of_zsh(_):
    option = re.compile(r"\*--?[\w-]+=?\[([^][\\]|\\.)*\](:([^:\\]|\\.)*:([^:\\]|\\.)*)?")
    script = run_weir("completion", "zsh").stdout.replace("\\\n", " ")
    specified = [
        word
        for line in script.splitlines()
        if "_arguments" in line
        for word in shlex.split(line)
        if word.startswith("*-")
    ]
    expect(len(specified) > 100, "options of all commands", len(specified))
    expect_equal([word for word in specified if not option.fullmatch(word)], [], "those amiss")


if __name__ == "__main__":
    main()
