#!/usr/bin/env python3
"""Alarms: each code that a node can raise has its heading in the manual of operations, and each
heading there a code that is raised. What an operator reads under it is whole: what happened, what
is safe, what to do."""

import re

import tidy

DOCUMENT = "docs/operations.md"
FOLDERS = ("replication/", "server/")

RAISED = re.compile(r'\balarm_raise\(\s*[^,()]+,\s*"([a-z0-9_]+)"')
APPENDED = re.compile(r'\bline_append\(\s*[^,()]+,\s*"([a-z0-9_]+)"')
CALLS = re.compile(r"\balarm_raise\(")
HEADING = re.compile(r"^### `([a-z0-9_]+)`$", re.MULTILINE)
PARTS = ("*What happened.*", "*What is safe.*", "*What to do.*")


def codes(root):
    """code -> the file that raises it; and calls whose code is not a text in place."""
    found, unclear = {}, []
    for path in tidy.files(root, ".c"):
        if not path.startswith(FOLDERS):
            continue
        text = tidy.c_without_comments(tidy.read(root, path), keep_strings=True)
        named = RAISED.findall(text)
        for code in named + APPENDED.findall(text):
            found.setdefault(code, path)
        calls = len(CALLS.findall(text)) - len(re.findall(r"\bvoid alarm_raise\(", text))
        if calls != len(named):
            unclear.append(path)
    return found, unclear


def check(root):
    raised, unclear = codes(root)
    document = tidy.read(root, DOCUMENT) if DOCUMENT in tidy.files(root, ".md") else ""
    sections = HEADING.split(document)[1:]
    texts = dict(zip(sections[::2], sections[1::2]))
    found = [f"{path}: an alarm whose code is not a text in place" for path in unclear]
    for code, path in sorted(raised.items()):
        if code not in texts:
            found.append(f"{DOCUMENT}: no heading for the alarm {code} of {path}")
    for code, text in texts.items():
        if code not in raised:
            found.append(f"{DOCUMENT}: the alarm {code} is raised nowhere")
        for part in PARTS:
            if part not in text:
                found.append(f"{DOCUMENT}: {code} lacks {part}")
    names = HEADING.findall(document)
    if names != sorted(set(names)):
        found.append(f"{DOCUMENT}: alarms are not in alphabetical order, or twice")
    return found


SOURCE = {"replication/a.c": 'void f(void)\n{\n    alarm_raise(replica, "bad", 1, "text");\n}\n'}
SECTION = "### `bad`\n\n" + "\n\n".join(PARTS) + "\n"
BAD = [
    ("an alarm without a heading", {**SOURCE, DOCUMENT: ""}),
    ("a heading without an alarm", {**SOURCE, DOCUMENT: SECTION + SECTION.replace("bad", "good")}),
    ("a heading without a remedy", {**SOURCE, DOCUMENT: SECTION.replace(PARTS[2], "")}),
    (
        "a code that cannot be seen",
        {"replication/a.c": "void f(void)\n{\n    alarm_raise(replica, code, 1, text);\n}\n"},
    ),
]
GOOD = [("a documented alarm", {**SOURCE, DOCUMENT: SECTION})]

if __name__ == "__main__":
    tidy.run("alarms", check, BAD, GOOD)
