#!/usr/bin/env python3
"""Data directories that are not as they should be, and everything else that stops a start."""

import os
import re
import shutil
import socket
import subprocess

from weir_test import ROOT, SERVER, Process, Server, Skip, expect, expect_equal, main, test

CANNOT_START, USAGE = 1, 2


def start_fails(folder, *options, status=CANNOT_START, data=None, prefix=(), env=None, names=()):
    """Starts a server that must refuse, in words that name the thing; returns what it said."""
    data = data or os.path.join(folder, "data")
    process = Process([SERVER, "-p", "0", "-d", data, *options], prefix=prefix, env=env, cwd=folder)
    actual = process.wait(20)
    text = process.stderr.text()
    expect(actual == status, f"exit {actual}, expected {status}", text)
    expect("ready:" not in text, "it said it was ready", text)
    for name in names:
        expect(name in text, f"{name} is not named", text)
    expect(text.strip(), "no word about it")
    return text


def filled(folder):
    """A data directory with one event, closed cleanly."""
    server = Server(folder)
    server.produce("/a", "kept")
    server.stop()
    return server


def check_kept(server):
    """The event is still there."""
    server.start()
    expect_equal([event["data"] for event in server.events()], ["kept"], "events")
    server.stop()


@test
def a_missing_directory_is_created(folder):
    server = Server(folder)
    expect(os.path.isdir(server.data), "no directory")
    expect_equal(os.stat(server.data).st_mode & 0o777, 0o700, "mode")
    expect(os.path.exists(os.path.join(server.data, "identity")), "no identity")
    server.stop()


@test
def a_directory_whose_parent_is_missing_is_refused(folder):
    data = os.path.join(folder, "no", "such")
    start_fails(folder, data=data, names=(data,))


@test
def a_file_instead_of_a_directory_is_refused(folder):
    data = os.path.join(folder, "file")
    with open(data, "w", encoding="utf-8") as file:
        file.write("mine\n")
    start_fails(folder, data=data, names=(data,))
    with open(data, encoding="utf-8") as file:
        expect_equal(file.read(), "mine\n", "the file")


@test
def a_directory_that_is_somebody_elses_is_refused(folder):
    data = os.path.join(folder, "data")
    os.mkdir(data)
    with open(os.path.join(data, "photo.jpg"), "w", encoding="utf-8") as file:
        file.write("mine\n")
    start_fails(folder, names=(data,))
    expect_equal(os.listdir(data), ["photo.jpg"], "the directory")


@test
def a_locked_directory_is_refused(folder):
    server = Server(folder)
    text = start_fails(folder, names=(server.data,))
    expect(str(server.process.pid) in text, "it does not say by whom", text)
    server.produce("/a", "x")
    server.stop()


def as_nobody(folder):
    """A command prefix that runs as nobody, for whom `folder` and what is in it can be entered."""
    if os.getuid() != 0:
        return ()
    if not shutil.which("setpriv"):
        raise Skip("setpriv is missing")
    prefix = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    os.chmod(folder, 0o755)
    result = subprocess.run(
        [*prefix, SERVER, "--version"], capture_output=True, timeout=30, check=False
    )
    if result.returncode:
        raise Skip("nobody may not run the server where it lies")
    return prefix


@test
def a_directory_without_permission_is_refused(folder):
    server = filled(folder)
    prefix = as_nobody(folder)
    if not prefix:
        os.chmod(server.data, 0)
    start_fails(folder, prefix=prefix, names=(server.data,))
    os.chmod(server.data, 0o700)
    check_kept(server)


@test
def a_read_only_directory_is_refused(folder):
    server = filled(folder)
    if os.getuid() != 0:
        raise Skip("needs root, to mount")
    script = 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" && shift && exec "$@"'
    prefix = ("unshare", "--mount", "sh", "-c", script, "sh", server.data)
    probe = subprocess.run([*prefix, "true"], capture_output=True, timeout=30, check=False)
    if probe.returncode:
        raise Skip("cannot mount here")
    start_fails(folder, prefix=prefix, names=(server.data,))
    check_kept(server)


@test
def an_identity_of_a_newer_format_is_refused(folder):
    server = filled(folder)
    path = os.path.join(server.data, "identity")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    format_line = r"(?im)^(\W*(?:weir[ -]identity|format|version)\W+)\d+"
    newer, count = re.subn(format_line, r"\g<1>999", text)
    expect(count == 1, "the identity names no format", text)
    with open(path, "w", encoding="utf-8") as file:
        file.write(newer)
    said = start_fails(folder, names=("identity",))
    expect(re.search(r"newer|999|version", said), "the reason is not said", said)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    check_kept(server)


@test
def a_damaged_identity_is_refused(folder):
    server = filled(folder)
    path = os.path.join(server.data, "identity")
    with open(path, "rb") as file:
        good = file.read()
    for bad in (b"", good[: len(good) // 2], b"\xff" * 100, good.replace(b"actor", b"axtor")):
        with open(path, "wb") as file:
            file.write(bad)
        start_fails(folder, names=("identity",))
    with open(path, "wb") as file:
        file.write(good)
    check_kept(server)


@test
def another_actor_id_is_refused(folder):
    server = filled(folder)
    start_fails(folder, "-A", "7", names=("7",))
    check_kept(server)


@test
def the_index_is_derived_and_built_again(folder):
    server = filled(folder)
    shutil.rmtree(os.path.join(server.data, "index"))
    server.start()
    expect_equal([e["data"] for e in server.events("-n", "/a")], ["kept"], "events")
    server.stop()
    for name in os.listdir(os.path.join(server.data, "index")):
        if name == "CURRENT" or name.startswith("MANIFEST"):
            with open(os.path.join(server.data, "index", name), "wb") as file:
                file.write(b"damaged")
    server.start()
    rows = server.weir("namespaces", "--output", "json").json_lines()
    expect_equal([row["namespace"] for row in rows], ["/a"], "namespaces")
    server.stop()


@test
def a_log_without_its_files_is_refused(folder):
    server = filled(folder)
    log = os.path.join(server.data, "log")
    aside = os.path.join(folder, "aside")
    os.mkdir(aside)
    for name in os.listdir(log):
        if name.startswith("MANIFEST") or name.endswith(".sst"):
            shutil.move(os.path.join(log, name), os.path.join(aside, name))
    start_fails(folder)
    for name in os.listdir(aside):
        shutil.move(os.path.join(aside, name), os.path.join(log, name))
    check_kept(server)


@test
def a_port_in_use_is_named(folder):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = str(listener.getsockname()[1])
        start_fails(folder, "-p", port, names=(port,))


@test
def an_address_that_is_not_ours_is_named(folder):
    start_fails(folder, "--listen", "192.0.2.1", names=("192.0.2.1",))


@test
def a_socket_path_that_is_taken_is_refused(folder):
    path = os.path.join(folder, "weir.sock")
    with open(path, "w", encoding="utf-8") as file:
        file.write("mine\n")
    start_fails(folder, "--socket", path, names=(path,))
    expect(os.path.isfile(path), "the file is gone")
    os.unlink(path)
    server = Server(folder, "--socket", path)
    other = os.path.join(folder, "other")
    start_fails(folder, "--socket", path, data=other, names=(path,))
    server.kill()
    server.start()  # what a killed server leaves behind is no obstacle
    server.stop()


@test
def unknown_flags_and_bad_values_are_usage(folder):
    for options in (
        ("--nonsense",),
        ("-p", "70000"),
        ("-p", "-1"),
        ("-p", "x"),
        ("-A", "0"),
        ("-A", "65536"),
        ("-M", "none"),
        ("-L", "loud"),
        ("-L", "store=loud"),
        ("--io-threads", "0"),
        ("--listen", "1.2.3.4:99999"),
        ("--config", os.path.join(folder, "missing.yaml")),
        ("word",),
    ):
        start_fails(folder, *options, status=USAGE)
    expect(not os.path.exists(os.path.join(folder, "data")), "a directory was made")


@test
def configuration_errors_name_line_and_column(folder):
    path = os.path.join(folder, "weir.yaml")
    cases = [
        ("port: 3000\nprot: 3000\n", ":2:1"),
        ("port: many\n", ":1:"),
        ("port: [1]\n", ":1:"),
        ("listen: 127.0.0.1\n", ":1:"),
        ("log:\n  level: loud\n", ":2:"),
        ("log:\n  colour: red\n", ":2:"),
        ("port: 3000\nport: 3001\n", ":2:"),
        ("- port\n", ":1:"),
        ("port: {\n", ""),
        ("\x00\x01", ""),
    ]
    for text, place in cases:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        for options in ((), ("--check-config",)):
            start_fails(folder, "--config", path, *options, status=USAGE, names=(path + place,))
    start_fails(folder, env={"WEIR_MAX_MEMORY_MB": "lots"}, status=USAGE, names=("lots",))


@test
def check_config_says_what_would_run_and_runs_nothing(folder):
    path = os.path.join(folder, "weir.yaml")
    data = os.path.join(folder, "data")
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"port: 3111\nmax_memory_mb: 99\ndata_dir: {data}\n")
    env = {"WEIR_MAX_MEMORY_MB": "111"}
    process = Process([SERVER, "--config", path, "-p", "3222", "--check-config"], env=env)
    expect_equal(process.wait(), 0, "exit status")
    text = process.stdout.text()
    for value in ("3222", "111", data):
        expect(value in text, f"{value} is missing", text)
    for value in ("3111", "99"):
        expect(not re.search(rf"\b{value}\b", text), f"{value} has lost, but is there", text)
    expect(not os.path.exists(data), "a directory was made")


@test
def every_key_is_documented_and_in_the_example(folder):
    process = Process([SERVER, "--check-config"], cwd=folder)
    expect_equal(process.wait(), 0, "exit status")
    keys, section = [], ""
    for line in process.stdout.text().splitlines():
        match = re.match(r"( *)([a-z_]+):", line)
        if match:
            section = section if match.group(1) else ""
            keys.append(section + match.group(2))
            if re.fullmatch(r"\w+:\s*(#.*)?", line) and match.group(2) == "log":
                section = keys.pop() + "."
    expect(len(keys) > 10, "too few keys", process.stdout.text())
    example = os.path.join(ROOT, "deploy", "weir.yaml")
    with open(example, encoding="utf-8") as file:
        text = file.read()
    with open(os.path.join(ROOT, "docs", "configuration.md"), encoding="utf-8") as file:
        document = file.read()
    for key in keys:
        expect(f"| `{key}` |" in document, f"{key} is missing in docs/configuration.md")
        word = key.rsplit(".", 1)[-1]
        expect(re.search(rf"(?m)^[# ]*{word}:", text), f"{key} is missing in deploy/weir.yaml")
    process = Process([SERVER, "--config", example, "--check-config"], cwd=folder)
    expect_equal(process.wait(), 0, "exit status with deploy/weir.yaml")


@test
def help_and_version_exit_0(_):
    for option in ("--help", "--version"):
        process = Process([SERVER, option])
        expect_equal(process.wait(), 0, "exit status")
        expect(process.stdout.text().strip(), f"{option} says nothing")


if __name__ == "__main__":
    main()
