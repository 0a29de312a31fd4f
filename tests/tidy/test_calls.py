#!/usr/bin/env python3
"""Calls that no file makes: those that cannot be bounded, cannot report, or wait blindly."""

import re

import tidy

BANNED = {
    "strcpy": "unbounded; memcpy with a length, or snprintf",
    "stpcpy": "unbounded; memcpy with a length, or snprintf",
    "strcat": "unbounded; snprintf",
    "sprintf": "unbounded; snprintf",
    "vsprintf": "unbounded; vsnprintf",
    "gets": "unbounded; fgets",
    "strncpy": "does not end its text; snprintf or memcpy",
    "strtok": "keeps hidden state; strchr or strsep",
    "atoi": "cannot report an error; strtoull, or our own parsers",
    "atol": "cannot report an error; strtoull, or our own parsers",
    "atoll": "cannot report an error; strtoull, or our own parsers",
    "atof": "cannot report an error; strtod",
    "system": "runs a shell",
    "popen": "runs a shell",
    "alloca": "unbounded stack",
    "rand": "global state; proto/base/random.h",
    "srand": "global state; proto/base/random.h",
    "random": "global state; proto/base/random.h",
    "sleep": "waits blindly; wait for what you wait for, with a deadline",
    "usleep": "waits blindly; wait for what you wait for, with a deadline",
    "nanosleep": "waits blindly; wait for what you wait for, with a deadline",
    "clock_nanosleep": "waits blindly; wait for what you wait for, with a deadline",
    "localtime": "static storage; localtime_r or gmtime_r",
    "gmtime": "static storage; gmtime_r",
    "tmpnam": "a race; mkstemp",
    "mktemp": "a race; mkstemp",
    "setjmp": "jumps over cleanups",
    "longjmp": "jumps over cleanups",
}

# How a process ends is decided in few places.
ENDING = {"abort", "exit", "_exit", "quick_exit"}
MAY_END = ("server/main.c", "server/run.c", "server/supervisor.c", "client-cli/", "tests/")

PYTHON_WAITS = re.compile(r"\btime\.sleep\s*\(")
SHELL_WAITS = re.compile(r"(?:^|[;&|(]|\bdo\b|\bthen\b)\s*sleep\s+[0-9$]", re.MULTILINE)

CALL = re.compile(r"(?<![\w.>])(" + "|".join(sorted(BANNED | dict.fromkeys(ENDING))) + r")\s*\(")
NDEBUG = re.compile(r"\bNDEBUG\b")


def is_declaration(text, position):
    """A function pointer or function of our own may bear such a name: `int (*system)(...)`."""
    return text[max(0, position - 1)] == "*"


def check_c(root, path):
    text = tidy.c_without_comments(tidy.read(root, path))
    for match in CALL.finditer(text):
        name = match.group(1)
        if is_declaration(text, match.start()):
            continue
        line = tidy.line_of(text, match.start())
        if name in BANNED:
            yield f"{path}:{line}: {name}(): {BANNED[name]}"
        elif not path.startswith(MAY_END):
            yield f"{path}:{line}: {name}(): the process ends in main, run, supervisor and weir"
    for match in NDEBUG.finditer(text):
        yield f"{path}:{tidy.line_of(text, match.start())}: NDEBUG: assertions stay on"


def check(root):
    found = []
    for path in tidy.files(root, ".c", ".h"):
        found += check_c(root, path)
    for path in tidy.files(root, "meson.build"):
        if re.search(r"b_ndebug\s*=\s*(true|if-release)|-DNDEBUG", tidy.read(root, path)):
            found.append(f"{path}: switches assertions off")
    for path in tidy.files(root, ".py"):
        if path.startswith("tests/tidy/"):
            continue
        text = tidy.read(root, path)
        for match in PYTHON_WAITS.finditer(text):
            found.append(f"{path}:{tidy.line_of(text, match.start())}: {BANNED['sleep']}")
    for path, first_line in tidy.scripts(root):
        if "sh" in first_line.rsplit("/", 1)[-1]:
            text = tidy.read(root, path)
            for match in SHELL_WAITS.finditer(text):
                found.append(f"{path}:{tidy.line_of(text, match.start())}: {BANNED['sleep']}")
    return found


BAD = [
    ("strcpy", {"storage/a.c": "void f(char *a)\n{\n    strcpy(a, b);\n}\n"}),
    ("sleep", {"tests/unit/a.c": "void f(void)\n{\n    sleep(1);\n}\n"}),
    ("abort in a library", {"storage/a.c": "void f(void)\n{\n    abort();\n}\n"}),
    ("assertions switched off", {"storage/a.c": "#define NDEBUG\n#include <assert.h>\n"}),
    ("a sleeping script", {"tests/a": "#!/bin/sh\nwhile true; do sleep 1; done\n"}),
    ("a sleeping test", {"tests/a.py": "import time\ntime.sleep" + "(1)\n"}),
]
GOOD = [
    ("words in comments and texts", {"storage/a.c": '// sleep(1)\nconst char *a = "exit(1)";\n'}),
    ("names that only end so", {"storage/a.c": "void f(void)\n{\n    node_exit(1);\n}\n"}),
    ("exit in main.c", {"server/main.c": "void f(void)\n{\n    exit(1);\n}\n"}),
    ("members", {"storage/a.c": "void f(void)\n{\n    a->random(1);\n    a.system();\n}\n"}),
]

if __name__ == "__main__":
    tidy.run("banned calls", check, BAD, GOOD)
