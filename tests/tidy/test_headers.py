#!/usr/bin/env python3
"""Every header begins with a sentence that says what the thing is, and is included once."""

import re

import tidy

SENTENCE = re.compile(r"\A// [^\n]+")


def check(root):
    found = []
    for path in tidy.files(root, ".h"):
        text = tidy.read(root, path)
        if not SENTENCE.match(text):
            found.append(f"{path}: does not begin with a sentence about what it is")
        if not re.search(r"^#pragma once$", text, re.MULTILINE):
            found.append(f"{path}: no #pragma once")
    return found


BAD = [
    ("a header that says nothing", {"a.h": "#pragma once\nint a(void);\n"}),
    ("a header without #pragma once", {"a.h": "// The a.\nint a(void);\n"}),
]
GOOD = [("a header as it should be", {"a.h": "// The a.\n#pragma once\n\nint a(void);\n"})]

if __name__ == "__main__":
    tidy.run("headers", check, BAD, GOOD)
