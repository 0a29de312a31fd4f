"""What the tidy tests share: the tree's files, C without comments, and a TAP report.

A tidy test is one rule, `check(root) -> list of violations`, and samples that prove that it can
fail: trees, written as {path: text}, in which the rule must or must not find something.
"""

import os
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

IGNORED_FOLDERS = {".git", "__pycache__", "weir-data", "node_modules"}


def files(root, *endings):
    """Paths of the files below root, relative and sorted, that end in one of `endings`."""
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = [
            name
            for name in folders
            if name not in IGNORED_FOLDERS and name != "build" and not name.startswith("build-")
        ]
        for name in names:
            if not endings or name.endswith(endings):
                found.append(os.path.relpath(os.path.join(folder, name), root))
    return sorted(found)


def read(root, path):
    with open(os.path.join(root, path), encoding="utf-8", errors="replace") as file:
        return file.read()


def scripts(root):
    """(path, first line) of every text file that begins with #!."""
    for path in files(root):
        full = os.path.join(root, path)
        if os.path.islink(full) or not os.path.isfile(full):
            continue
        with open(full, "rb") as file:
            if file.read(2) == b"#!":
                yield path, file.readline().decode("utf-8", "replace").strip()


def c_without_comments(text, keep_strings=False):
    """The C text with comments, and unless asked the insides of literals, as blanks; lines stay."""
    out = []
    i, end = 0, len(text)
    while i < end:
        two = text[i : i + 2]
        if two == "//":
            stop = text.find("\n", i)
            stop = end if stop < 0 else stop
            out.append(" " * (stop - i))
            i = stop
        elif two == "/*":
            stop = text.find("*/", i + 2)
            stop = end if stop < 0 else stop + 2
            out.append("".join("\n" if c == "\n" else " " for c in text[i:stop]))
            i = stop
        elif text[i] in "\"'":
            stop = i + 1
            while stop < end and text[stop] != text[i] and text[stop] != "\n":
                stop += 2 if text[stop] == "\\" else 1
            stop = min(stop + 1, end)
            literal = text[i:stop]
            if not keep_strings:
                literal = literal[0] + " " * (len(literal) - 2) + literal[-1]
            out.append(literal)
            i = stop
        else:
            out.append(text[i])
            i += 1
    return "".join(out)


def line_of(text, position):
    return text.count("\n", 0, position) + 1


def write_tree(root, tree):
    for path, text in tree.items():
        full = os.path.join(root, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w", encoding="utf-8") as file:
            file.write(text)


class Report:
    """TAP on stdout."""

    def __init__(self):
        self.count = 0
        self.failed = 0

    def result(self, good, name, details=()):
        self.count += 1
        print(f"{'ok' if good else 'not ok'} {self.count} - {name}")
        if not good:
            self.failed += 1
            for line in details:
                print(f"# {line}")

    def skip(self, name, why):
        self.count += 1
        print(f"ok {self.count} - {name} # SKIP {why}")

    def finish(self):
        print(f"1..{self.count}")
        sys.stdout.flush()
        sys.exit(1 if self.failed else 0)


def run(name, check, bad, good=()):
    """Runs the rule over its samples and then over the tree given as argument (or our own)."""
    report = Report()
    for title, tree in bad:
        with tempfile.TemporaryDirectory() as folder:
            write_tree(folder, tree)
            report.result(check(folder), f"{name}: notices {title}", ["found nothing"])
    for title, tree in good:
        with tempfile.TemporaryDirectory() as folder:
            write_tree(folder, tree)
            found = check(folder)
            report.result(not found, f"{name}: allows {title}", found)
    found = check(sys.argv[1] if len(sys.argv) > 1 else ROOT)
    report.result(not found, f"{name}: holds in the tree", found)
    report.finish()
