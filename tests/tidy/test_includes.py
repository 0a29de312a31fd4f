#!/usr/bin/env python3
"""The include table of docs/architecture.md: folders are layers, no arrow is ever reversed."""

import os
import re

import tidy

BASE = ["proto/base/"]
MODEL = BASE + ["proto/model/"]
PROTO = MODEL + ["proto/wire/"]

# folder -> what its files may include besides their own folder: folders (with a slash) or files.
TABLE = {
    "proto/base": [],
    "proto/model": BASE,
    "proto/wire": MODEL,
    "storage": MODEL,
    "replication": MODEL,
    "server/config": BASE,
    "server/log": BASE + ["server/node/node_env.h"],  # it implements the seam's log
    "server/group": MODEL,
    "server/node": MODEL
    + [
        "storage/store.h",
        "storage/identity.h",
        "replication/replica.h",
        "server/group/group.h",
    ],
    "server/frontend": PROTO + ["server/node/peer.h", "server/node/service.h"],
    "server/net": BASE
    + [
        "server/frontend/frontend.h",
        "server/node/node_env.h",
        "server/node/peer.h",
        "server/node/service.h",
    ],
    "server": PROTO + ["storage/", "replication/", "server/"],
    "client": PROTO,
    "client-cli": BASE + ["client/weir.h", "client/weir_json.h"],  # a program like others
    "examples": [],  # they use the library as it is installed: <weir.h>
    "tests": [""],
}

# Installed together: they find one another wherever that is, and need nobody else.
PUBLIC_HEADERS = ("client/weir.h", "client/weir/")

# In server/ itself only these may know everybody: they build the parts and run them.
SERVER_ROOT_FILES = {
    f"server/{name}.{ending}"
    for name in ("main", "run", "node_storage", "supervisor")
    for ending in "ch"
}

# library header -> (where it may be included, how many files may).
LIBRARIES = {
    "rocksdb/": (("storage/disk_rocksdb.c",), 1),
    "msgpack": (("proto/",), 2),
    "libfyaml.h": (("server/config/",), 1),
    "ev.h": (("server/net/", "examples/"), None),
    "xxhash.h": (("proto/base/hash.c",), 1),
    "lz4": (("proto/base/compress.c",), 1),
    "openssl/": (("proto/base/hmac.c",), 1),
    "uthash.h": (("proto/base/",), 1),
    "utlist.h": (("proto/base/",), 1),
    "systemd/": (("server/",), 2),
    "jansson.h": (("client-cli/", "client/weir_json.h"), 2),
    "argp.h": (("server/config/", "server/main.c", "client-cli/"), None),
    "sys/socket.h": (("server/net/", "client/", "examples/"), None),
    "netinet/": (("server/net/", "client/"), None),
    "netdb.h": (("server/net/", "client/", "examples/"), None),
    "sys/epoll.h": (("server/net/greeter.c", "client-cli/bench_loop.c", "client-cli/wakes.c"), 3),
}

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.MULTILINE)


def folder_of(path):
    """The row of the table that a file belongs to; None: no row."""
    rows = [row for row in TABLE if path.startswith(row + "/")]
    return max(rows, key=len) if rows else None


def allowed(path, target):
    if path.startswith(PUBLIC_HEADERS):
        return target.startswith(PUBLIC_HEADERS)
    row = folder_of(path)
    if row is None:
        return False
    if row == "server" and path not in SERVER_ROOT_FILES:
        return target.startswith("proto/base/")
    if target.startswith(row + "/") and (row != "server" or target in SERVER_ROOT_FILES):
        return True
    return any(
        target.startswith(entry) if entry == "" or entry.endswith("/") else target == entry
        for entry in TABLE[row]
    )


def includes(root, path):
    text = tidy.c_without_comments(tidy.read(root, path), keep_strings=True)
    for match in INCLUDE.finditer(text):
        kind, target = match.groups()
        if kind == '"' and path.startswith(PUBLIC_HEADERS):
            target = os.path.normpath(os.path.join(os.path.dirname(path), target))
        yield tidy.line_of(text, match.start()), kind, target


def check_libraries(path, line, target, users):
    for header, (places, files_max) in LIBRARIES.items():
        if not (target.startswith(header) if header[-1] != "h" else target == header):
            continue
        if path.startswith("tests/"):
            return []
        users.setdefault(header, set()).add(path)
        if not any(path.startswith(place) for place in places):
            where = " ".join(places) or "no file"
            return [f"{path}:{line}: <{target}> belongs to {where} alone"]
        if files_max and len(users[header]) > files_max:
            names = " ".join(sorted(users[header]))
            return [f"{path}:{line}: <{target}> is wrapped in {files_max} file(s), not in {names}"]
    return []


def cycles(graph):
    """One violation for each include that closes a circle."""
    found, state = [], {}

    def visit(path, trail):
        state[path] = "open"
        for target in graph.get(path, ()):
            if state.get(target) == "open":
                circle = trail[trail.index(target) :] + [target] if target in trail else [target]
                found.append("include cycle: " + " -> ".join(circle))
            elif target not in state:
                visit(target, trail + [target])
        state[path] = "done"

    for path in sorted(graph):
        if path not in state:
            visit(path, [path])
    return found


def check(root):
    found, users, graph = [], {}, {}
    known = set(tidy.files(root, ".c", ".h"))
    for path in sorted(known):
        if folder_of(path) is None:
            found.append(f"{path}: this folder is not in the include table")
            continue
        for line, kind, target in includes(root, path):
            if kind == "<":
                found += check_libraries(path, line, target, users)
                continue
            graph.setdefault(path, []).append(target)
            if target not in known:
                found.append(f'{path}:{line}: "{target}" is not written from the root')
            elif not allowed(path, target):
                found.append(f'{path}:{line}: {folder_of(path)} may not include "{target}"')
    return found + cycles(graph)


STORE = {"storage/store.h": "#pragma once\n"}
BAD = [
    ("a reversed arrow", {**STORE, "proto/model/event.c": '#include "storage/store.h"\n'}),
    ("an include not from the root", {**STORE, "storage/store.c": '#include "store.h"\n'}),
    ("rocksdb outside its wrapper", {"storage/store.c": "#include <rocksdb/c.h>\n"}),
    ("libev outside net", {"server/node/service.c": "#include <ev.h>\n"}),
    (
        "a third file with msgpack",
        {f"proto/wire/{name}.c": "#include <msgpack.h>\n" for name in "abc"},
    ),
    (
        "a cycle",
        {
            "storage/a.h": '#include "storage/b.h"\n',
            "storage/b.h": '#include "storage/a.h"\n',
        },
    ),
    ("a folder nobody knows", {"extra/a.c": "\n"}),
    (
        "the command line looking into the library",
        {"client/core.h": "\n", "client-cli/ping.c": '#include "client/core.h"\n'},
    ),
    (
        "the command line with the model",
        {"proto/model/reply.h": "\n", "client-cli/ping.c": '#include "proto/model/reply.h"\n'},
    ),
    (
        "the command line with a part of the public header",
        {"client/weir/value.h": "\n", "client-cli/a.c": '#include "client/weir/value.h"\n'},
    ),
    (
        "the public header looking into the library",
        {"client/core.h": "\n", "client/weir/value.h": '#include "../core.h"\n'},
    ),
    ("a file beside main.c", {**STORE, "server/other.c": '#include "storage/store.h"\n'}),
    (
        "the node looking into the disk",
        {"storage/disk.h": "\n", "server/node/service.c": '#include "storage/disk.h"\n'},
    ),
]
GOOD = [
    ("the node using the store", {**STORE, "server/node/a.c": '#include "storage/store.h"\n'}),
    (
        "the public header in parts",
        {"client/weir.h": '#include "weir/value.h"\n', "client/weir/value.h": "\n"},
    ),
    ("main.c using anybody", {**STORE, "server/main.c": '#include "storage/store.h"\n'}),
    ("an include in a comment", {**STORE, "proto/base/a.c": '// #include "storage/store.h"\n'}),
]

if __name__ == "__main__":
    tidy.run("include table", check, BAD, GOOD)
