#!/usr/bin/env python3
"""The weir command: what scripts rely on. Output, options, exit status."""

import base64
import json
import os
import re
import socket
import subprocess

from weir_test import CLI, Server, expect, expect_equal, free_port, main, run_weir, test

OK, FAILED, USAGE, NO_CONNECTION, NOT_FOUND = 0, 1, 2, 3, 5


def data(result):
    return [event["data"] for event in result]


def identifier(counter, actor=1):
    return f"{counter:020}{actor:05}"


@test
def produce_prints_ids_in_the_order_of_its_input(folder):
    server = Server(folder)
    expect_equal(server.produce("/a", "1", "2", "3"), [identifier(n) for n in (1, 2, 3)], "ids")
    quiet = server.weir("produce", "-n", "/a", "-d", "4", "--quiet")
    expect_equal(quiet.stdout, "", "stdout with --quiet")
    ids = server.produce_lines("/b", ["x", "", "z"])
    expect_equal(ids, [identifier(n) for n in (5, 6, 7)], "ids of lines")
    expect_equal(data(server.events("-n", "/b")), ["x", "", "z"], "an empty line, an empty event")
    last = server.weir("produce", "-n", "/c", "--lines", "-", stdin=b"no newline at the end")
    expect_equal(last.lines, [identifier(8)], "ids")
    path = os.path.join(folder, "lines")
    with open(path, "w", encoding="utf-8") as file:
        file.write("from\na file\n")
    expect_equal(len(server.weir("produce", "-n", "/d", "--lines", path).lines), 2, "ids")
    expect_equal(data(server.events("-n", "/d")), ["from", "a file"], "events")


@test
def parents_and_attributes_come_back(folder):
    server = Server(folder)
    parent = server.produce("/a", "cause")[0]
    options = ("-P", parent, "--attr", "type=egg", "--attr", "k=a=b")
    server.weir("produce", "-n", "/b", "-d", "effect", *options)
    found = server.events("-n", "/b")[0]
    expect_equal(found["parent"], parent, "parent")
    expect_equal(found["attributes"], {"type": "egg", "k": "a=b"}, "attributes")
    human = server.weir("consume", "-n", "/b").stdout
    expect(f"EventId: {identifier(2)}, Parent: {parent}\n" in human, "no parent", human)
    for form in ("1.1", "1-1"):
        server.weir("produce", "-n", "/c", "-P", form)
    expect_equal([e["parent"] for e in server.events("-n", "/c")], [parent] * 2, "parents")


@test
def json_goes_in_as_it_came_out(folder):
    server = Server(folder)
    lines = [
        {"namespace": "/a", "data": "text – 𝄞"},
        {"namespace": "/b", "data_base64": base64.b64encode(b"\xff\x00\xfe").decode()},
        {"namespace": "/c", "data": "", "attributes": {"k": "v"}, "parent": identifier(1)},
        {"namespace": "/d", "data": "x", "parent": None, "attributes": None},
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    expect_equal(len(server.weir("produce", "--json", "-", stdin=text).lines), 4, "ids")
    first = server.weir("consume", "--output", "json")
    events = first.json_lines()
    expect_equal(events[0]["data"], "text – 𝄞", "data")
    expect_equal(base64.b64decode(events[1]["data_base64"]), b"\xff\x00\xfe", "data")
    expect("data" not in events[1], "data beside data_base64", events[1])
    expect_equal(events[2]["attributes"], {"k": "v"}, "attributes")
    # What consume prints, produce takes.
    server.weir("produce", "--json", "-", stdin=first.stdout)
    keys = ("namespace", "data", "data_base64", "parent", "attributes")
    everything = [[e.get(k) for k in keys] for e in server.events()]
    expect_equal(everything[4:], everything[:4], "the events produced again")


@test
def a_bad_line_ends_with_its_number_and_keeps_what_was_acknowledged(folder):
    server = Server(folder)
    good = json.dumps({"namespace": "/a", "data": "x"}) + "\n"
    for bad in ("{not json\n", '{"data": "no namespace"}\n', '["array"]\n', '{"namespace": ""}\n',
                '{"namespace": "/a", "data": 7}\n', '{"namespace": "/a", "data_base64": "%%"}\n'):
        before = server.status()["events"]
        result = server.weir("produce", "--json", "-", stdin=good * 2 + bad + good, status=FAILED)
        expect(re.search(r"\b3\b", result.stderr), "the line's number is missing", bad, result)
        after = server.status()["events"] - before
        expect(len(result.lines) <= after <= 2, f"{after} events stored", result)
    huge = "x" * (1 << 20) + "x\n"
    result = server.weir("produce", "-n", "/b", "--lines", "-", stdin="a\n" + huge, status=FAILED)
    expect(re.search(r"\b2\b", result.stderr), "the line's number is missing", result.stderr[-300:])


@test
def start_positions(folder):
    server = Server(folder)
    ids = server.produce("/a", *"123456")
    cases = [
        (("-s", ids[2]), "456"),
        (("-s", "3.1"), "456"),
        (("--start-after", "3-1"), "456"),
        (("--from", ids[2]), "3456"),
        (("--from", "beginning"), "123456"),
        (("--from", "end"), ""),
        (("--from", "@3.1"), "456"),
        (("-s", "@3.1"), "456"),
        (("--from", "@"), "123456"),
        (("--last", "2"), "56"),
        (("--last", "100"), "123456"),
        (("-l", "2"), "12"),
        (("--from", "4.1", "-l", "2"), "45"),
        (("--since", "10m"), "123456"),
        (("--since", "2001-01-01T00:00:00Z"), "123456"),
        (("--since", "2999-01-01T00:00:00Z"), ""),
        (("-b", "1"), "123456"),
        (("-n", "/a", "-n", "/*", "-n", "/**"), "123456"),
        (("-n", "/b"), ""),
    ]
    for options, expected in cases:
        found = "".join(data(server.events(*options)))
        expect_equal(found, expected, f"consume {' '.join(options)}")


@test
def output_forms(folder):
    server = Server(folder)
    server.weir("produce", "-n", "/a", "-d", "one", "-d", "two")
    expect_equal(server.weir("consume", "--output", "raw").stdout.split(), ["one", "two"], "raw")
    human = server.weir("consume").stdout
    expect_equal(human.count("\nEventId: "), 2, "events in the human form")
    expect_equal(server.weir("get", "1.1").stdout, server.weir("consume", "-l", "1").stdout, "get")
    expect_equal(
        server.weir("get", identifier(2), "--output", "json").stdout,
        server.weir("consume", "-s", "1.1", "--output", "json").stdout,
        "get",
    )
    second = server.weir("consume", "-s", "1.1").stdout
    expect_equal(server.weir("last", "1").stdout, second, "last")
    found = server.weir("last", "-n", "/a", "5", "--output", "json").json_lines()
    expect_equal(data(found), ["one", "two"], "last")


@test
def get_of_what_is_not_there(folder):
    server = Server(folder)
    result = server.weir("get", "7.1", status=NOT_FOUND)
    expect(result.stderr.strip(), "no word about it")
    expect_equal(result.stdout, "", "stdout")


@test
def status_has_the_keys_that_scripts_rely_on(folder):
    server = Server(folder)
    server.produce("/a", "1", "2")
    server.produce("/b", "3")
    status = server.status()
    keys = ["version", "uptime_seconds", "cluster", "node", "cursor", "events", "bytes"]
    keys += ["namespaces", "connections", "subscriptions", "memory_bytes", "index_behind", "alarms"]
    for key in keys:
        expect(key in status, f"{key} is missing", status)
    expect_equal(sorted(status["cluster"]), ["name", "uuid"], "keys of cluster")
    expect_equal(status["node"]["actor"], 1, "actor")
    expect_equal(status["cursor"], "@3.1", "cursor")
    expect_equal(status["events"], 3, "events")
    expect_equal(status["alarms"], [], "alarms")
    expect_equal(server.status()["node"]["uuid"], status["node"]["uuid"], "the node's uuid")
    expect(server.weir("status").stdout.strip(), "status says nothing to a person")
    version = run_weir("--version").stdout
    expect(status["version"].split()[-1] in version, "another version", version, status)


@test
def namespaces_count_what_is_in_them(folder):
    server = Server(folder)
    server.produce("/a/x", "1", "2")
    server.produce("/a/y", "3")
    server.produce("/b", "4")
    rows = server.weir("namespaces", "--output", "json").json_lines()
    expect_equal([row["namespace"] for row in rows], ["/a/x", "/a/y", "/b"], "namespaces")
    expect_equal([row["events"] for row in rows], [2, 1, 1], "events")
    expect_equal(rows[0]["first"]["id"], identifier(1), "first")
    expect_equal(rows[0]["last"]["id"], identifier(2), "last")
    expect(rows[0]["bytes"] > 0, "no bytes", rows[0])
    expect(re.match(r"\d{4}-\d\d-\d\dT.*Z$", rows[0]["first"]["timestamp"]), "no time", rows[0])
    some = server.weir("namespaces", "/a/*", "--output", "json").json_lines()
    expect_equal([row["namespace"] for row in some], ["/a/x", "/a/y"], "namespaces")
    expect("/a/x" in server.weir("namespaces").stdout, "not in the form for people")


@test
def many_namespaces_come_page_by_page(folder):
    server = Server(folder)
    names = sorted(f"/n/{number}" for number in range(2500))
    text = "".join(json.dumps({"namespace": name, "data": ""}) + "\n" for name in names)
    server.weir("produce", "--json", "-", "--quiet", stdin=text)
    rows = server.weir("namespaces", "/n/*", "--output", "json").json_lines()
    expect_equal([row["namespace"] for row in rows], names, "namespaces")
    expect_equal(server.status()["namespaces"], 2500, "namespaces that status counts")


USAGES = [
    ("produce",),
    ("produce", "-n", ""),
    ("produce", "-n", "/a\n"),
    ("produce", "-n", "/" + "a" * 1024),
    ("produce", "-n", "/$weir"),
    ("produce", "-n", "/a", "-P", "nonsense"),
    ("produce", "-n", "/a", "--attr", "no-equals-sign"),
    ("produce", "-n", "/a", "--in-flight", "many"),
    ("produce", "-n", "/a", "--in-flight", "0"),
    ("produce", "-n", "/a", "--nonsense"),
    ("consume", "-n", "/***"),
    ("consume", "-n", "/**foo"),
    ("consume", "-n", "/foo**"),
    ("consume", "-n", "[unclosed"),
    ("consume", "-n", ""),
    ("consume", "-s", "0.1"),
    ("consume", "-s", "1.0"),
    ("consume", "-s", "1.65536"),
    ("consume", "-s", "12345"),
    ("consume", "--from", "@1"),
    ("consume", "--from", "@1.1,2.1"),
    ("consume", "--from", "yesterday"),
    ("consume", "--since", "a while"),
    ("consume", "--last", "-1"),
    ("consume", "-l", "x"),
    ("consume", "-l", "-5"),
    ("consume", "-b", "0x"),
    ("consume", "--heartbeat", "often"),
    ("consume", "--output", "xml"),
    ("get",),
    ("get", "nonsense"),
    ("last", "many"),
    ("last", "-n", "/***", "1"),
    ("namespaces", "/***"),
    ("nonsense",),
    (),
    ("-p", "70000", "ping"),
    ("-p", "x", "ping"),
    ("completion", "tcsh"),
    ("bench", "nonsense"),
]


@test
def wrong_usage_exits_2_and_says_why(folder):
    server = Server(folder)
    for arguments in USAGES:
        result = server.weir(*arguments, status=None)
        expect(result.status == USAGE, f"expected exit {USAGE}", result)
        expect(len(result.stderr.strip()) > 10, "no word about it", result)
        expect_equal(result.stdout, "", f"stdout of weir {' '.join(arguments)}")
    expect_equal(server.status()["events"], 0, "events")


@test
def wrong_usage_needs_no_server(_):
    env = {"WEIR_HOST": "127.0.0.1", "WEIR_PORT": str(free_port())}
    for arguments in (("consume", "-n", "/***"), ("get", "x"), ("produce", "-n", "/\x01")):
        run_weir(*arguments, env=env, status=USAGE)


@test
def no_server_exits_3(_):
    env = {"WEIR_HOST": "127.0.0.1", "WEIR_PORT": str(free_port())}
    for arguments in (("ping",), ("status",), ("produce", "-n", "/a"), ("get", "1.1"),
                      ("consume", "--no-reconnect"), ("namespaces",), ("last",)):
        result = run_weir(*arguments, env=env, status=NO_CONNECTION)
        expect(env["WEIR_PORT"] in result.stderr, "where to is not said", result)
    run_weir("--socket", "/nonexistent/weir.sock", "ping", status=NO_CONNECTION)


@test
def a_host_that_is_no_weir_is_named(_):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        process = subprocess.Popen(
            [CLI, "-H", "127.0.0.1", "-p", str(port), "ping"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        accepted, _ = listener.accept()
        accepted.recv(1000)
        accepted.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        accepted.close()
        _, stderr = process.communicate(timeout=60)
        expect(process.returncode in (FAILED, NO_CONNECTION), f"exit {process.returncode}", stderr)
        expect(stderr.strip(), "no word about it")


@test
def connection_options_stand_before_or_behind_the_subcommand(folder):
    server = Server(folder)
    where = ("-H", "127.0.0.1", "-p", str(server.port))
    run_weir(*where, "ping")
    run_weir("ping", *where)
    run_weir("--host=127.0.0.1", f"--port={server.port}", "ping", env={"WEIR_PORT": "1"})
    run_weir("-H", "localhost", "ping", env={"WEIR_PORT": str(server.port)})
    expect(run_weir("ping", *where).stdout.strip(), "ping says nothing")
    json.loads(run_weir("ping", *where, "--output", "json").stdout)


@test
def a_unix_socket_serves_as_well(folder):
    path = os.path.join(folder, "weir.sock")
    server = Server(folder, "--socket", path)
    run_weir("--socket", path, "produce", "-n", "/a", "-d", "x")
    expect_equal(data(server.events()), ["x"], "events")
    found = run_weir("consume", "--socket", path, "--output", "json").json_lines()
    expect_equal(data(found), ["x"], "events")
    server.stop()
    expect(not os.path.exists(path), "the socket is left behind")


@test
def a_closed_pipe_ends_consume_quietly(folder):
    server = Server(folder)
    server.produce_lines("/a", ["x" * 100] * 5000)
    for options in ((), ("-t",), ("--output", "json")):
        consumer = server.weir_start("consume", *options)
        consumer.stdout.wait_count(1)
        consumer.popen.stdout.close()  # the reader in our thread goes on; so close it from outside
        consumer.kill()
    script = f'"{CLI}" consume --output json | head -n 1; echo "${{PIPESTATUS[0]}}"'
    env = {**os.environ, **server.client_env()}
    result = subprocess.run(
        ["bash", "-c", script], env=env, capture_output=True, text=True, timeout=60, check=False
    )
    lines = result.stdout.splitlines()
    expect_equal(len(lines), 2, "lines")
    expect_equal(result.stderr, "", "stderr")
    expect(lines[1] in ("0", "141"), f"exit {lines[1]}")


@test
def help_shows_three_examples(_):
    subcommands = ["produce", "consume", "get", "last", "namespaces", "status", "ping", "bench"]
    for subcommand in subcommands + ["completion"]:
        text = run_weir(subcommand, "--help").stdout
        examples = re.findall(rf"^ .*weir (?:-\S+ \S+ )*{subcommand}", text, re.MULTILINE)
        expect(len(examples) >= 3, f"{len(examples)} examples in weir {subcommand} --help", text)
    expect("produce" in run_weir("--help").stdout, "no subcommands in --help")


@test
def completions_name_the_subcommands(_):
    for shell in ("bash", "zsh", "fish"):
        text = run_weir("completion", shell).stdout
        for word in ("produce", "consume", "namespaces"):
            expect(word in text, f"{word} is missing for {shell}")
    script = run_weir("completion", "bash").stdout
    subprocess.run(["bash", "-n"], input=script, text=True, timeout=20, check=True)


@test
def bench_prints_one_json_object(folder):
    server = Server(folder)
    for kind in ("produce", "replay", "latency", "fanout"):
        result = server.weir(
            *("bench", kind, "--payload", "100", "--connections", "2", "--in-flight", "100"),
            *("--batch", "10", "--namespaces", "10", "--consumers", "2", "--rate", "100"),
            *("--duration", "1"),
            seconds=60,
        )
        found = json.loads(result.stdout)
        for key in ("bench", "events", "seconds", "events_per_second", "latency_us"):
            expect(key in found, f"{key} is missing", found)
        expect_equal(found["bench"], kind, "bench")
        expect(found["events"] > 0, "no events", found)
        for key in ("p50", "p99", "p999", "max"):
            expect(key in found["latency_us"], f"latency_us.{key} is missing", found)


@test
def bench_measures_durable_subscriptions(folder):
    server = Server(folder)
    server.weir("bench", "produce", "--duration", "1", seconds=60)
    found = json.loads(server.weir("bench", "subscription", seconds=60).stdout)
    expect(found["events"] > 0, "no events", found)
    expect_equal(found["replay_events"], found["events"], "of what was replayed")
    expect(found["ratio"] > 0, "no ratio", found)
    load = ("--consumers", "3", "--rate", "100", "--duration", "1")
    found = json.loads(server.weir("bench", "subscriptions", *load, seconds=60).stdout)
    expect_equal(found["deliveries"], 300, "deliveries")
    expect_equal((found["missing"], found["repeated"]), (0, 0), "missing, repeated")
    load = ("--to", f"127.0.0.1:{server.port}", "--rate", "100", "--duration", "1")
    found = json.loads(server.weir("bench", "failover", *load, seconds=60).stdout)
    expect_equal(found["deliveries"], 100, "deliveries")
    listed = server.weir("subscriptions", "list", "--output", "json").stdout
    expect_equal(listed.strip(), "", "subscriptions that are left")


if __name__ == "__main__":
    main()
