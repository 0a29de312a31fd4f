#!/usr/bin/env python3
"""The pure libraries stay pure: no clock, socket, file, thread or randomness, and no state.

What their objects need from outside, as the linker sees it (nm -u), is checked against a list of
what they may need. Everything else is time, chance or the world, which come in as arguments.

State is data that can be written: the variables of a file or a function, of the process or of a
thread. All of libweir has none, its socket layer included; tables of constants are no state.
"""

import os
import re
import shutil
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
# These have no state: the libraries above, and what else libweir consists of.
STATELESS = (*LIBRARIES, "libweir-blocking.a", "libweir.so")

# What the compiler and the linker put into every shared library.
START_UP = re.compile(
    r"_DYNAMIC|_GLOBAL_OFFSET_TABLE_|__TMC_END__|__dso_handle|completed\.\d+"
    r"|__do_global_dtors_aux_fini_array_entry|__frame_dummy_init_array_entry"
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


def variables(path):
    """Names of the data of a library that can be written, once it is loaded."""
    output = subprocess.run(
        ["nm", "--defined-only", "--format=sysv", path],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout
    for line in output.splitlines():
        words = [word.strip() for word in line.split("|")]
        if len(words) == 7 and words[3] in ("OBJECT", "TLS", "COMMON"):
            name, kind, section = words[0], words[2], words[6]
            is_data = kind in "dDbBCgGsSuvV"
            if is_data and not section.startswith((".data.rel.ro", ".rodata")):
                yield name


def find(build, name):
    for folder, _, names in os.walk(build):
        if name in names:
            return os.path.join(folder, name)
    return None


def check_needs(paths):
    ours = set()
    for path in paths.values():
        ours |= set(symbols(path, "d"))
    for name, path in paths.items():
        for symbol in sorted(set(symbols(path, "u"))):
            may = ALLOWED.fullmatch(symbol) or re.fullmatch(LIBRARIES[name] or r"(?!)", symbol)
            if symbol not in ours and not may:
                yield f"{name}: needs {symbol}"


def check(build):
    paths = {name: find(build, name) for name in STATELESS}
    missing = [f"{name}: not built" for name in STATELESS if not paths[name]]
    if missing:
        return missing
    found = list(check_needs({name: paths[name] for name in LIBRARIES}))
    for name, path in paths.items():
        for variable in sorted(set(variables(path))):
            if not (name.endswith(".so") and START_UP.fullmatch(variable)):
                found.append(f"{name}: has the variable {variable}")
    return found


def build_sample(folder, name, code):
    source, target = os.path.join(folder, "a.c"), os.path.join(folder, "a.o")
    with open(source, "w", encoding="utf-8") as file:
        file.write(code)
    subprocess.run(["cc", "-c", "-O1", "-fPIC", source, "-o", target], check=True, timeout=60)
    path = os.path.join(folder, name)
    link = ["cc", "-shared", "-o"] if name.endswith(".so") else ["ar", "rc"]
    subprocess.run([*link, path, target], check=True, timeout=60)


def build_samples(folder):
    """All of the libraries, of which each has one function."""
    for name in STATELESS:
        function = re.sub(r"\W", "_", name)
        build_sample(folder, name, f"void {function}(void)\n{{\n}}\n")


def sample(report, samples, title, name, code, wanted):
    """Puts code into one library (None: removes it); the rule must find what is wanted there."""
    with tempfile.TemporaryDirectory() as parent:
        folder = os.path.join(parent, "build")
        shutil.copytree(samples, folder)
        os.remove(os.path.join(folder, name))
        if code:
            build_sample(folder, name, code)
        found = check(folder)
        wanted = [f"{name}: {wanted}"] if wanted else []
        report.result(found == wanted, f"purity: {title}", found or ["found nothing"])


CLOCK = "#include <time.h>\nlong f(void)\n{\n    return (long)time(0);\n}\n"
MEMORY = "#include <stdlib.h>\nvoid *f(void)\n{\n    return malloc(1);\n}\n"
TABLE = (
    'static const char *const texts[] = {"a", "b"};\n'
    "const char *f(int i)\n{\n    return texts[i];\n}\n"
)
COUNTER = "int f(void)\n{\n    static int calls;\n    return ++calls;\n}\n"
GLOBAL = "int verbose = 1;\n"
PER_THREAD = "_Thread_local int last;\nint *f(void)\n{\n    return &last;\n}\n"


def main():
    report = tidy.Report()
    core, blocking, shared = "libweir-client-core.a", "libweir-blocking.a", "libweir.so"
    with tempfile.TemporaryDirectory() as samples:
        build_samples(samples)
        for title, name, code, wanted in (
            ("notices a clock", core, CLOCK, "needs time"),
            ("allows memory", core, MEMORY, None),
            ("allows a table", core, TABLE, None),
            ("allows a shared table", shared, TABLE, None),
            ("notices a counter", core, COUNTER, "has the variable calls.0"),
            ("notices a global", blocking, GLOBAL, "has the variable verbose"),
            ("notices a thread's variable", shared, PER_THREAD, "has the variable last"),
            ("notices what is not built", core, None, "not built"),
        ):
            sample(report, samples, title, name, code, wanted)
    found = check(sys.argv[1])
    report.result(not found, "purity: holds in the build", found)
    report.finish()


if __name__ == "__main__":
    main()
