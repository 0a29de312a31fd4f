#!/usr/bin/env python3
"""The man pages of the libraries show every public function, as the headers declare it."""

import os
import re
import shlex

import tidy

PAGES = "docs/man"
SECTIONS = ["NAME", "LIBRARY", "SYNOPSIS", "DESCRIPTION", "RETURN VALUES"]
DECLARATION = re.compile(r"WEIR_API\b([^;(]*?)\b(weir_\w+)\(([^;]*)\)[\sA-Z_]*;")


def spaced(text):
    return " ".join(text.split())


def declared(root):
    """Public functions by name, each as one line: type, name and arguments."""
    functions = {}
    for path in tidy.files(root, ".h"):
        if path.startswith("client/weir/") or path == "client/weir_json.h":
            text = tidy.c_without_comments(tidy.read(root, path))
            for kind, name, arguments in DECLARATION.findall(text):
                arguments = ", ".join(map(spaced, arguments.split(",")))
                functions[name] = f"{spaced(kind)} {name}({arguments})"
    return functions


def shown(text):
    """Functions of a page's synopsis, in the same form."""
    functions, kind = {}, ""
    synopsis = re.search(r"^\.Sh SYNOPSIS$(.*?)^\.Sh ", text, re.MULTILINE | re.DOTALL)
    for line in (synopsis[1] if synopsis else "").splitlines():
        if line.startswith(".Ft "):
            kind = line[4:]
        elif line.startswith(".Fn "):
            name, *arguments = shlex.split(line[4:])
            functions[name] = f"{kind} {name}({', '.join(arguments)})"
    return functions


def check(root):
    functions = declared(root)
    on_pages = {}
    if not functions:
        yield "client/weir: no public functions"
    for path in tidy.files(root, ".3"):
        if os.path.dirname(path) != PAGES:
            continue
        text = tidy.read(root, path)
        sections = re.findall(r"^\.Sh (.*)$", text, re.MULTILINE)
        for section in SECTIONS:
            if section not in sections:
                yield f"{path}: no section {section}"
        on_pages.update(shown(text))
        for name in sorted(set(re.findall(r"\bFn (weir_\w+)", text))):
            if name not in functions:
                yield f"{path}: there is no {name}"
    for name, function in functions.items():
        if name not in on_pages:
            yield f"{PAGES}: nothing about {name}"
        elif function != on_pages[name]:
            yield f"{PAGES}: {on_pages[name]}, but it is {function}"


def tree(header, synopsis, more=".Sh DESCRIPTION\n.Sh RETURN VALUES\n"):
    page = f".Sh NAME\n.Sh LIBRARY\n.Sh SYNOPSIS\n{synopsis}{more}"
    return {"client/weir/a.h": header, "docs/man/a.3": page}


HEADER = (
    "// Ends it.\nWEIR_API void weir_end(struct weir *weir);\n"
    "WEIR_API const char *weir_text(struct weir *weir,\n"
    "                               int64_t now_ns) WEIR_MUST_CHECK;\n"
)
END = '.Ft void\n.Fn weir_end "struct weir *weir"\n'
TEXT = '.Ft const char *\n.Fn weir_text "struct weir *weir" "int64_t now_ns"\n'
BAD = [
    ("a function that is missing", tree(HEADER, END)),
    ("a function that is only mentioned", tree(HEADER, END, ".Sh DESCRIPTION\n.Fn weir_text\n")),
    ("other arguments", tree(HEADER, END + TEXT.replace("int64_t", "int"))),
    ("another type", tree(HEADER, END + TEXT.replace("const ", ""))),
    ("a function that is no more", tree(HEADER, END + TEXT + END.replace("end", "ended"))),
    (
        "a name that is no more",
        tree(HEADER, END + TEXT, ".Sh DESCRIPTION\n.Fn weir_ended .\n.Sh RETURN VALUES\n"),
    ),
    ("a section that is missing", tree(HEADER, END + TEXT, ".Sh DESCRIPTION\n")),
    ("that there is nothing to look at", {}),
]
GOOD = [("what the headers declare", tree(HEADER, END + TEXT))]

if __name__ == "__main__":
    tidy.run("man", lambda root: list(check(root)), BAD, GOOD)
