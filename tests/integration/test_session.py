#!/usr/bin/env python3
"""The session that every new user tries first, word by word."""

import json
import re
import shutil
import subprocess

from weir_test import Failure, Server, Skip, expect, expect_equal, main, test

TIMESTAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"
KEYS = ["id", "namespace", "timestamp", "parent", "attributes", "data"]


@test
def the_session_of_the_readme(folder):
    server = Server(folder)

    eggs = server.weir("produce", "-n", "/food/breakfast/eggs", "-d", "I made some eggs")
    expect_equal(eggs.stdout, "0000000000000000000100001\n", "the first id")
    expect(
        re.search(r"Successfully produced 1 events? to /food/breakfast/eggs", eggs.stderr),
        "no word of success",
        eggs,
    )

    tail = server.weir_start("consume", "-t")
    tail.stdout.wait_line("^I made some eggs$")

    bacon = server.weir("produce", "-n", "/food/breakfast/bacon", "-d", "data about bacon")
    expect_equal(bacon.stdout, "0000000000000000000200001\n", "the second id")
    tail.stdout.wait_line("^data about bacon$")

    salad = server.weir("produce", "-n", "/food/lunch/salad")
    expect_equal(salad.stdout, "0000000000000000000300001\n", "the third id")
    tail.stdout.wait_line("^Namespace: /food/lunch/salad$")
    expect(tail.is_running(), "the tail ended")

    found = server.weir("consume", "-n", "/food/*/bacon").stdout
    expect(
        re.fullmatch(
            r"\nEventId: 0000000000000000000200001\nNamespace: /food/breakfast/bacon\n"
            rf"Timestamp: {TIMESTAMP}\ndata about bacon\n",
            found,
        ),
        "the human form differs",
        found,
    )

    events = server.events("-n", "/food/**")
    expect_equal([event["data"] for event in events], ["I made some eggs", "data about bacon", ""])
    for event in events:
        expect_equal(list(event), KEYS, "the keys of an event")
        expect_equal(event["parent"], None, "parent")
        expect_equal(event["attributes"], None, "attributes")
        expect(re.fullmatch(r".*\.\d{3}Z", event["timestamp"]), "no milliseconds", event)
    server.stop()


@test
def json_goes_through_jq(folder):
    if not shutil.which("jq"):
        raise Skip("jq is not installed")
    server = Server(folder)
    server.produce("/food/breakfast/eggs", 'with "quotes" and \\ and\ttabs', "naïve – 𝄞")
    text = server.weir("consume", "-n", "/food/**", "--output", "json").stdout
    result = subprocess.run(
        ["jq", "-c", "."], input=text, capture_output=True, text=True, timeout=20, check=False
    )
    if result.returncode:
        raise Failure(f"jq: {result.stderr} of {text}")
    same = [json.loads(line) for line in result.stdout.splitlines()]
    expect_equal([event["data"] for event in same], ['with "quotes" and \\ and\ttabs', "naïve – 𝄞"])


@test
def events_survive_a_restart(folder):
    server = Server(folder)
    first = server.produce("/food/breakfast/eggs", "one", "two")
    before = server.weir("consume", "--output", "json").stdout
    server.restart()
    expect_equal(server.weir("consume", "--output", "json").stdout, before, "the log")
    third = server.produce("/food/breakfast/eggs", "three")
    expect_equal(first + third, [f"{n:020}00001" for n in (1, 2, 3)], "ids over a clean restart")


if __name__ == "__main__":
    main()
