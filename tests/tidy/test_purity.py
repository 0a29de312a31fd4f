#!/usr/bin/env python3
"""The pure libraries stay pure: no clock, socket, file, thread or randomness.

What their objects need from outside, as the linker sees it (nm -u), is checked against a list of
what they may need. Everything else is time, chance or the world, which come in as arguments.
"""

import os
import re
import subprocess
import sys
import tempfile

import tidy

# Static libraries, each with what it alone may use. Those of the others are no outside.
LIBRARIES = {
    "libweir-base.a": r"XXH\w+|LZ4_\w+|EVP_MAC\w*|OSSL_PARAM_\w+|CRYPTO_memcmp",
    "libweir-model.a": r"",
    "libweir-wire.a": r"msgpack_\w+",
    "libweir-replication.a": r"",
    "libweir-server-group.a": r"",
    "libweir-client-core.a": r"",
}
REQUIRED = (
    "libweir-base.a",
    "libweir-model.a",
    "libweir-wire.a",
    "libweir-replication.a",
    "libweir-server-group.a",
)

ALLOWED = re.compile(
    r"""
    (__)?(mem(cpy|move|set|cmp|chr|rchr|mem)|bcmp)(_chk)?
    | (__)?(str(len|cmp|ncmp|chr|rchr|str|nlen|spn|cspn))(_chk)?
    | (__)?v?snprintf(_chk)?
    | malloc | calloc | realloc | reallocarray | free | aligned_alloc | posix_memalign
    | qsort | bsearch
    | __assert_fail | __stack_chk_fail | abort | __tls_get_addr
    | _GLOBAL_OFFSET_TABLE_ | __errno_location
    | __(u?(div|mod)ti3|popcountdi2)
    | __(asan|ubsan|tsan|gcov|sanitizer|llvm)_\w+
    """,
    re.VERBOSE,
)


def symbols(path, kind):
    """Names of one kind ("u": undefined, "d": defined) in the objects of a library."""
    option = "--undefined-only" if kind == "u" else "--defined-only"
    output = subprocess.run(
        ["nm", option, "--format=posix", "--extern-only", path],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout
    for line in output.splitlines():
        words = line.split()
        if len(words) >= 2 and not line.endswith(":"):
            yield words[0].split("@")[0]


def find(build, name):
    for folder, _, names in os.walk(build):
        if name in names:
            return os.path.join(folder, name)
    return None


def check(build):
    paths = {name: find(build, name) for name in LIBRARIES}
    found = [f"{name}: not built" for name in REQUIRED if not paths[name]]
    ours = set()
    for path in filter(None, paths.values()):
        ours |= set(symbols(path, "d"))
    for name, path in paths.items():
        for symbol in sorted(set(symbols(path, "u")) if path else ()):
            may = ALLOWED.fullmatch(symbol) or re.fullmatch(LIBRARIES[name] or r"(?!)", symbol)
            if symbol not in ours and not may:
                found.append(f"{name}: needs {symbol}")
    return found


def sample(report, title, code, bad):
    """Builds libraries of which one holds `code`; the rule must find something in it, or not."""
    with tempfile.TemporaryDirectory() as folder:
        for name in REQUIRED:
            source, target = os.path.join(folder, "a.c"), os.path.join(folder, "a.o")
            with open(source, "w", encoding="utf-8") as file:
                variable = name[8:-2].replace("-", "_")
                file.write(code if name == "libweir-model.a" else f"int {variable};\n")
            subprocess.run(["cc", "-c", "-O1", source, "-o", target], check=True, timeout=60)
            subprocess.run(["ar", "rc", os.path.join(folder, name), target], check=True, timeout=60)
        found = check(folder)
        report.result(bool(found) == bad, f"purity: {title}", found or ["found nothing"])


def main():
    report = tidy.Report()
    clock = "#include <time.h>\nlong f(void)\n{\n    return (long)time(0);\n}\n"
    memory = "#include <stdlib.h>\nvoid *f(void)\n{\n    return malloc(1);\n}\n"
    sample(report, "notices a clock", clock, True)
    sample(report, "allows memory", memory, False)
    found = check(sys.argv[1])
    report.result(not found, "purity: holds in the build", found)
    report.finish()


if __name__ == "__main__":
    main()
