#!/usr/bin/env python3
"""Every shell script passes shellcheck, and every script can be run."""

import os
import shutil
import subprocess
import sys

import tidy


def check(root):
    found = []
    for path, first_line in tidy.scripts(root):
        full = os.path.join(root, path)
        if not os.access(full, os.X_OK) and root == tidy.ROOT:
            found.append(f"{path}: begins with #! but is not executable")
        if not first_line.rsplit("/", 1)[-1].split()[-1] in ("sh", "bash", "dash"):
            continue
        result = subprocess.run(
            ["shellcheck", "--norc", "--format=gcc", path],
            cwd=root,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        found += result.stdout.splitlines()
        if result.returncode > 1:
            found += result.stderr.splitlines()
    return found


BAD = [("an unquoted variable", {"a": '#!/bin/sh\nfor i in $*; do rm $i; done\n'})]
GOOD = [("a clean script", {"a": '#!/bin/sh\nset -eu\necho "$1"\n'})]

if __name__ == "__main__":
    if not shutil.which("shellcheck"):
        print("1..0 # SKIP shellcheck is not installed")
        sys.exit(0)
    tidy.run("shell scripts", check, BAD, GOOD)
