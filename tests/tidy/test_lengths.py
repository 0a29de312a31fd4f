#!/usr/bin/env python3
"""Functions fit a screen, files a sitting, lines a window."""

import re

import tidy

FUNCTION_LINES_MAX = 70  # from the line of the opening brace to that of the closing one
FILE_LINES_MAX = 800
LINE_LENGTH_MAX = 100

CODE = (".c", ".h", ".py", ".sh")


def functions(text):
    """(name, first line, lines) of every function body in C text."""
    text = tidy.c_without_comments(text)
    text = re.sub(r"(?m)^[ \t]*#(?:[^\n\\]|\\\n|\\.)*", lambda m: re.sub(r"[^\n]", " ", m[0]), text)
    depth = 0
    start = None
    behind = 0  # where the last declaration ended
    for i, c in enumerate(text):
        if c == "{":
            if depth == 0:
                head = text[behind:i].rstrip()
                name = re.search(r"(\w+)\s*\(", head)
                is_function = bool(name) and "=" not in head.split("(")[0]
                start = (name.group(1), i) if is_function and head.endswith(")") else None
            depth += 1
        elif c == "}":
            depth -= 1
            if depth == 0:
                behind = i + 1
                if start:
                    first = tidy.line_of(text, start[1])
                    yield start[0], first, tidy.line_of(text, i) - first + 1
        elif c == ";" and depth == 0:
            behind = i + 1


def check(root):
    found = []
    scripts = {path for path, _ in tidy.scripts(root)}
    for path in sorted(scripts | set(tidy.files(root, *CODE))):
        text = tidy.read(root, path)
        lines = text.split("\n")
        if len(lines) - 1 > FILE_LINES_MAX:
            found.append(f"{path}: {len(lines) - 1} lines, at most {FILE_LINES_MAX}")
        for number, line in enumerate(lines, 1):
            if len(line) > LINE_LENGTH_MAX:
                found.append(f"{path}:{number}: {len(line)} columns, at most {LINE_LENGTH_MAX}")
        if path.endswith((".c", ".h")):
            for name, line, length in functions(text):
                if length > FUNCTION_LINES_MAX:
                    found.append(
                        f"{path}:{line}: {name} has {length} lines, at most {FUNCTION_LINES_MAX}"
                    )
    return found


def function_of(lines):
    return "static int f(int a)\n{\n" + "    a++;\n" * (lines - 2) + "}\n"


BAD = [
    ("a function too long", {"a.c": function_of(FUNCTION_LINES_MAX + 1)}),
    ("one behind a struct", {"a.c": "struct a {\n    int b;\n};\n" + function_of(71)}),
    ("one with braces in literals", {"a.c": "char a = '{';\n" + function_of(71)}),
    ("a file too long", {"a.c": "\n" * (FILE_LINES_MAX + 1)}),
    ("a line too long", {"a.py": "#" * (LINE_LENGTH_MAX + 1) + "\n"}),
]
GOOD = [
    ("a function that just fits", {"a.c": function_of(FUNCTION_LINES_MAX)}),
    ("a long table", {"a.c": "static const int a[] = {\n" + "    1,\n" * 100 + "};\n"}),
    ("a file that just fits", {"a.c": "\n" * FILE_LINES_MAX}),
]

if __name__ == "__main__":
    tidy.run("lengths", check, BAD, GOOD)
