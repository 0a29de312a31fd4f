#!/usr/bin/env python3
"""No file knows a particular machine or person: no paths of somebody's home or workplace."""

import re

import tidy

# Assembled from pieces, so that this file does not find itself.
HOMES = "(?:" + "|".join(("work", "home", "Users", "root", "workspace", "media")) + ")"
PLACE = re.compile(r"(?:^|[\s\"'(=:])/" + HOMES + r"/\w")
BINARY = (".bin", ".png", ".gz", ".lz4", ".zst")
CORPUS = "tests/fuzz/"


def check(root):
    found = []
    for path in tidy.files(root):
        if path.endswith(BINARY) or path.startswith(CORPUS) or path == "LICENSE":
            continue
        for number, line in enumerate(tidy.read(root, path).split("\n"), 1):
            match = PLACE.search(line)
            if match:
                found.append(f"{path}:{number}: a path of one machine: {line.strip()[:80]}")
    return found


BAD = [
    ("a home", {"a.md": "see /" + "home/somebody/weir\n"}),
    ("a workplace", {"a": '#!/bin/sh\ncd "/' + 'work/main"\n'}),
    ("root's home", {"deploy/a": "#!/bin/sh\ncp weir /" + "root/weir\n"}),
]
GOOD = [
    ("namespaces", {"a.md": "weir produce -n /food/breakfast -d home\n"}),
    ("system folders", {"a.md": "/var/lib/weir and /usr/bin and ./weir-data\n"}),
]

if __name__ == "__main__":
    tidy.run("machine paths", check, BAD, GOOD)
