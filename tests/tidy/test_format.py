#!/usr/bin/env python3
"""C files look as .clang-format says."""

import os
import shutil
import subprocess
import sys

import tidy

CLANG_FORMAT = shutil.which("clang-format-14") or shutil.which("clang-format")


def check(root):
    paths = tidy.files(root, ".c", ".h")
    style = os.path.join(tidy.ROOT, ".clang-format")
    found = []
    for i in range(0, len(paths), 50):
        result = subprocess.run(
            [CLANG_FORMAT, "--dry-run", "-Werror", f"--style=file:{style}", *paths[i : i + 50]],
            cwd=root,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        found += [line for line in result.stderr.splitlines() if "error:" in line]
        if result.returncode and not found:
            found += result.stderr.splitlines()
    return found


BAD = [("an indent of two", {"a.c": "int f(void)\n{\n  return 1;\n}\n"})]
GOOD = [("our style", {"a.c": "int f(void)\n{\n    return 1;\n}\n"})]

if __name__ == "__main__":
    if not CLANG_FORMAT:
        print("1..0 # SKIP clang-format is not installed")
        sys.exit(0)
    tidy.run("format", check, BAD, GOOD)
