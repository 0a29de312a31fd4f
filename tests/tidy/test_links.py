#!/usr/bin/env python3
"""Documents lead somewhere: every relative link resolves, to its heading where it names one."""

import os
import re

import tidy

LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`[^`\n]*`")
ANCHOR = re.compile(r'<a id="([^"]+)">')
HEADING = re.compile(r"^#+\s+(.*?)\s*$", re.MULTILINE)


def anchors(text):
    """Anchors that are set, and those that headings get: lower case, dashes for blanks."""
    yield from ANCHOR.findall(text)
    for match in HEADING.finditer(FENCE.sub("", text)):
        title = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", match.group(1)).lower()
        yield re.sub(r"[^\w\- ]", "", title).replace(" ", "-")


def check(root):
    found = []
    for path in tidy.files(root, ".md"):
        text = tidy.read(root, path)
        plain = CODE.sub("", FENCE.sub(lambda m: "\n" * m[0].count("\n"), text))
        for match in LINK.finditer(plain):
            target = match.group(1)
            if re.match(r"[a-z]+:", target):
                continue
            place = f"{path}:{tidy.line_of(plain, match.start())}"
            name, _, anchor = target.partition("#")
            full = os.path.normpath(os.path.join(os.path.dirname(path), name)) if name else path
            if not os.path.exists(os.path.join(root, full)):
                found.append(f"{place}: {target}: no such file")
            elif anchor and full.endswith(".md") and anchor not in anchors(tidy.read(root, full)):
                found.append(f"{place}: {target}: no such heading")
    return found


BAD = [
    ("a link to nothing", {"docs/a.md": "see [b](b.md)\n"}),
    ("a link to no heading", {"a.md": "see [b](#b)\n\n# a\n"}),
]
GOOD = [
    ("links that lead somewhere", {"a.md": "[b](docs/b.md#the-b)\n", "docs/b.md": "# The b\n"}),
    ("links in code", {"a.md": "```\n[b](c.md)\n```\n`[b](c.md)`\n"}),
    ("links elsewhere", {"a.md": "[b](https://www.debian.org/)\n"}),
]

if __name__ == "__main__":
    tidy.run("links", check, BAD, GOOD)
