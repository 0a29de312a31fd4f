#!/usr/bin/env python3
"""Limits: each one of proto/base/limits.h is used by code and documented with its value."""

import re

import tidy

HEADER = "proto/base/limits.h"
DOCUMENT = "docs/limits.md"

DEFINE = re.compile(r"^#define\s+([A-Z][A-Z0-9_]+)\s+(.+)$", re.MULTILINE)
ROW = re.compile(r"^\|\s*`([A-Z0-9_]+)`\s*\|\s*([0-9,]+)\s*\|", re.MULTILINE)


def limits(root):
    """name -> value of every number that the header defines."""
    values = {}
    for match in DEFINE.finditer(tidy.c_without_comments(tidy.read(root, HEADER))):
        expression = re.sub(r"\(uint64_t\)|\(int64_t\)|\(size_t\)", "", match.group(2))
        expression = re.sub(r"\b(\d+)[uUlL]+\b", r"\1", expression)
        # Python and C agree on the arithmetic of these: + - * / << of positive numbers.
        expression = expression.replace("/", "//")
        values[match.group(1)] = eval(expression, {"__builtins__": {}}, values)
    return values


def check(root):
    found = []
    values = limits(root)
    code = "\n".join(
        tidy.c_without_comments(tidy.read(root, path))
        for path in tidy.files(root, ".c", ".h")
        if not path.startswith("tests/")
    )
    document = tidy.read(root, DOCUMENT) if DOCUMENT in tidy.files(root, ".md") else ""
    documented = dict(ROW.findall(document))
    for name, value in values.items():
        if name in ("KIB", "MIB"):
            continue
        if len(re.findall(rf"\b{name}\b", code)) < 2:
            found.append(f"{HEADER}: {name} is used nowhere")
        if name not in documented:
            found.append(f"{DOCUMENT}: {name} is missing")
        elif int(documented[name].replace(",", "")) != value:
            found.append(f"{DOCUMENT}: {name} is {value:,}, not {documented[name]}")
    for name in documented:
        if name not in values:
            found.append(f"{DOCUMENT}: {name} is no limit")
    return found


HEAD = "#define KIB ((uint64_t)1 << 10)\n#define A_MAX (4 * KIB)\n"
USE = {"storage/a.c": "int a = A_MAX;\n"}
BAD = [
    ("a limit that nobody uses", {HEADER: HEAD, DOCUMENT: "| `A_MAX` | 4,096 | a |\n"}),
    ("one without a document", {HEADER: HEAD, DOCUMENT: "", **USE}),
    ("a wrong value", {HEADER: HEAD, DOCUMENT: "| `A_MAX` | 4,097 | a |\n", **USE}),
    ("one that is gone", {HEADER: HEAD, DOCUMENT: "| `A_MAX` | 4,096 |\n| `B` | 1 |\n", **USE}),
]
GOOD = [("a documented limit", {HEADER: HEAD, DOCUMENT: "| `A_MAX` | 4,096 | a |\n", **USE})]

if __name__ == "__main__":
    tidy.run("limits", check, BAD, GOOD)
