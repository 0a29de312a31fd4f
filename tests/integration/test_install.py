#!/usr/bin/env python3
"""What `meson install` installs is enough to build programs against libweir: C, C++, static."""

import os
import re
import subprocess

from weir_test import BUILD, ENVIRONMENT, ROOT, Server, Skip, expect, expect_equal, main, test

CLIENT = os.path.join(ROOT, "client")
PARTS = sorted(os.listdir(os.path.join(CLIENT, "weir")))
FLAGS = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]


def call(*arguments, env=None, seconds=120):
    result = subprocess.run(
        arguments, env={**ENVIRONMENT, **(env or {})}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=seconds, check=False,
    )  # fmt: skip
    expect_equal(result.returncode, 0, f"exit of {' '.join(arguments)}: {result.stderr[-3000:]}")
    return result.stdout


class Installed:
    """The build, installed below a folder; only what is there is used, through pkg-config."""

    def __init__(self, folder):
        self.root = os.path.join(folder, "root")
        command = ("meson", "install", "-C", BUILD, "--no-rebuild", "--quiet")
        call(*command, "--destdir", self.root)
        found = [
            os.path.join(place, "weir.pc")
            for place, _, names in os.walk(self.root)
            if "weir.pc" in names
        ]
        expect_equal(len(found), 1, "weir.pc")
        self.folder = os.path.dirname(found[0])
        self.libraries = os.path.dirname(self.folder)

    def flags(self, *options):
        env = {"PKG_CONFIG_LIBDIR": self.folder, "PKG_CONFIG_SYSROOT_DIR": self.root}
        return call("pkg-config", *options, "weir", env=env).split()


def is_sanitized():
    with open(os.path.join(BUILD, "meson-info", "intro-buildoptions.json"), encoding="utf-8") as f:
        return not re.search(r'"name": "b_sanitize", "value": "none"', f.read())


def check_consumer(program, server, env=None):
    arguments = (program, "/a", "1", "-", f"127.0.0.1:{server.port}")
    expect(" /a hello" in call(*arguments, env=env), "the event was not consumed")


@test
def programs_are_built_with_what_is_installed(folder):
    if is_sanitized():
        raise Skip("the installed library would need the sanitizer's runtime")
    installed = Installed(folder)
    server = Server(folder)
    server.produce("/a", "hello")
    source = os.path.join(ROOT, "examples", "consume.c")
    program = os.path.join(folder, "consume")
    env = {"LD_LIBRARY_PATH": installed.libraries}
    flags = installed.flags("--cflags", "--libs")
    call("cc", "-std=gnu17", *FLAGS, source, "-o", program, *flags)
    check_consumer(program, server, env)
    needed = call("readelf", "-d", program)
    expect("libweir.so.0]" in needed, "another soname", needed)
    # The static library: no libweir at run time, and no name but the public ones.
    archive = os.path.join(installed.libraries, "libweir.a")
    others = [flag for flag in installed.flags("--static", "--libs") if flag != "-lweir"]
    flags = installed.flags("--cflags")
    call("cc", "-std=gnu17", *FLAGS, source, "-o", program, *flags, archive, *others)
    check_consumer(program, server)
    expect("libweir" not in call("readelf", "-d", program), "the library is shared")


@test
def the_header_is_clean_c_and_cpp(folder):
    text = '#include "weir.h"\nint main() { weir_options o; o.size = sizeof o; return !o.size; }\n'
    source = os.path.join(folder, "header.cpp")
    with open(source, "w", encoding="utf-8") as file:
        file.write(text)
    include = "-I" + CLIENT
    call("c++", "-std=c++17", *FLAGS, include, source, "-o", os.path.join(folder, "cpp"))
    source = os.path.join(folder, "header.c")
    with open(source, "w", encoding="utf-8") as file:
        file.write('#include "weir.h"\nint main(void) { return 0; }\n')
    call("cc", "-std=c17", *FLAGS, include, source, "-o", os.path.join(folder, "c"))


@test
def each_part_of_the_header_is_whole(folder):
    with open(os.path.join(CLIENT, "weir.h"), encoding="utf-8") as file:
        included = re.findall(r'#include "weir/(.*)"', file.read())
    expect_equal(included, PARTS, "parts that weir.h includes")
    source = os.path.join(folder, "part.c")
    for part in PARTS:
        with open(source, "w", encoding="utf-8") as file:
            file.write(f'#include "weir/{part}"\n')
        for command in (["cc", "-std=c17"], ["c++", "-std=c++17", "-x", "c++"]):
            call(*command, *FLAGS, "-I" + CLIENT, "-fsyntax-only", source)


@test
def only_public_names_are_visible(_):
    library = os.path.join(BUILD, "client", "libweir.so.0")
    shared = symbols("nm", "-D", "--defined-only", "--format=posix", library)
    archive = os.path.join(BUILD, "client", "libweir.a")
    static = symbols("nm", "-g", "--defined-only", "--format=posix", archive)
    declared = []
    for part in PARTS:
        with open(os.path.join(CLIENT, "weir", part), encoding="utf-8") as file:
            declared += re.findall(r"WEIR_API [^;]*?\b(weir_\w+)\(", file.read())
    expect_equal(sorted(shared), sorted(declared), "names that the shared library exports")
    if not is_sanitized():
        expect_equal(sorted(static), sorted(declared), "global names of the static library")


def symbols(*command):
    rows = (line.split() for line in call(*command).splitlines())
    return {row[0] for row in rows if len(row) > 1}


if __name__ == "__main__":
    main()
