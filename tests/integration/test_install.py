#!/usr/bin/env python3
"""What `meson install` installs is enough for programs against libweir: C, C++, static, JSON."""

import os
import re
import shutil
import subprocess

from weir_test import BUILD, ENVIRONMENT, ROOT, Server, Skip, expect, expect_equal, main, test

CLIENT = os.path.join(ROOT, "client")
PARTS = sorted(os.listdir(os.path.join(CLIENT, "weir")))
HAS_JSON = os.path.exists(os.path.join(BUILD, "client", "libweir-json.so"))
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
        found = self.find("weir.pc")
        expect_equal(len(found), 1, "weir.pc")
        self.folder = os.path.dirname(found[0])
        self.libraries = os.path.dirname(self.folder)

    def flags(self, *options, package="weir"):
        # Behind what is installed come the packages of the system: weir-json needs jansson.
        others = call("pkg-config", "--variable", "pc_path", "pkg-config").strip()
        path = f"{self.folder}:{others}" if package != "weir" else self.folder
        env = {"PKG_CONFIG_LIBDIR": path, "PKG_CONFIG_SYSROOT_DIR": self.root}
        return call("pkg-config", *options, package, env=env).split()

    def find(self, name):
        places = os.walk(self.root)
        return [os.path.join(place, name) for place, _, names in places if name in names]


def is_sanitized():
    with open(os.path.join(BUILD, "meson-info", "intro-buildoptions.json"), encoding="utf-8") as f:
        return not re.search(r'"name": "b_sanitize", "value": "none"', f.read())


def check_consumer(program, server, env=None):
    arguments = (program, "/a", "1", "-", f"127.0.0.1:{server.port}")
    expect(" /a hello" in call(*arguments, env=env), "the event was not consumed")


def install(folder):
    if is_sanitized():
        raise Skip("the installed library would need the sanitizer's runtime")
    return Installed(folder)


def need_json():
    if not HAS_JSON:
        raise Skip("libweir-json was not built: there is no jansson")


def declared(*path):
    """Names of the public functions of a header, in its order."""
    with open(os.path.join(CLIENT, *path), encoding="utf-8") as file:
        return re.findall(r"WEIR_API [^;]*?\b(weir_\w+)\(", file.read())


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


@test
def programs_are_built_with_what_is_installed(folder):
    installed = install(folder)
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


# Names every function, so that each must be found by the name that it has in C, and calls one of
# each library.
CPP = """
#include <cstdio>
#include <cstring>
#include <%(header)s>
typedef void (*any)();
static const any all[] = {%(all)s};
int main()
{
    const char *text = "{\\"a\\":[1]}";
    weir_bytes data = weir_text(text);
    %(call)s
    bool is_whole = data.length == std::strlen(text) && all[0] != nullptr;
    std::printf("%%s %%d\\n", weir_version(), (int)is_whole);
    return 0;
}
"""
CPP_JSON = """
    json_t *value;
    weir_reason reason;
    if (weir_json_read(data, &value, &reason) != 0 || weir_json_write(value, &data) != 0) {
        return 1;
    }
    json_decref(value);
    weir_json_free(data);
"""


def check_cpp(installed, folder, package, names, call_text=""):
    pointers = ", ".join(f"reinterpret_cast<any>({name})" for name in names)
    header = package.replace("-", "_") + ".h"
    text = CPP % {"header": header, "all": pointers, "call": call_text}
    source = write(os.path.join(folder, f"{package}.cpp"), text)
    program = os.path.join(folder, package)
    flags = installed.flags("--cflags", "--libs", package=package)
    call("c++", "-std=c++17", "-Wl,--no-as-needed", *FLAGS, source, "-o", program, *flags)
    version = installed.flags("--modversion", package=package)[0]
    printed = call(program, env={"LD_LIBRARY_PATH": installed.libraries})
    expect_equal(printed, f"{version} 1\n", "what the C++ program prints")
    needed = call("readelf", "-d", program)
    expect(f"lib{package}.so.0]" in needed, "another soname", needed)


@test
def cpp_programs_find_every_function(folder):
    names = [name for part in PARTS for name in declared("weir", part)]
    check_cpp(install(folder), folder, "weir", names)


@test
def json_programs_are_built_with_what_is_installed(folder):
    need_json()
    installed = install(folder)
    names = declared("weir_json.h")
    check_cpp(installed, folder, "weir-json", names, CPP_JSON)
    text = """
#include <stdio.h>
#include <weir_json.h>
int main(void)
{
    struct weir_reason reason = {{0}};
    json_t *value;
    int err = weir_json_read(weir_text("[1"), &value, &reason);
    printf("%s: %s\\n", weir_err_name(err), reason.text);
    return 0;
}
"""
    source = write(os.path.join(folder, "json.c"), text)
    program = os.path.join(folder, "json")
    flags = installed.flags("--cflags", "--libs", package="weir-json")
    call("cc", "-std=c17", *FLAGS, source, "-o", program, *flags)
    printed = call(program, env={"LD_LIBRARY_PATH": installed.libraries})
    expect(printed.startswith("invalid: not JSON, line 1"), "another reason", printed)


@test
def only_public_names_of_json_are_visible(_):
    need_json()
    library = os.path.join(BUILD, "client", "libweir-json.so.0")
    shared = symbols("nm", "-D", "--defined-only", "--format=posix", library)
    expect_equal(sorted(shared), sorted(declared("weir_json.h")), "names that it exports")


@test
def man_pages_are_installed(folder):
    installed = install(folder)
    pages = {"libweir.3": True, "libweir-json.3": HAS_JSON}
    for page, is_wanted in pages.items():
        paths = installed.find(page)
        expect_equal(len(paths), 1 if is_wanted else 0, f"{page} is installed")
        for path in paths:
            expect_equal(os.path.basename(os.path.dirname(path)), "man3", f"place of {page}")
            check_page(path)


def check_page(path):
    """It has its sections, also when it is formatted, without warnings (where there is groff)."""
    with open(path, encoding="utf-8") as file:
        sections = re.findall(r"^\.Sh (.*)$", file.read(), re.MULTILINE)
    for section in ("NAME", "SYNOPSIS", "DESCRIPTION", "RETURN VALUES"):
        expect(section in sections, f"{path}: no section {section}")
    if not shutil.which("groff"):
        return
    result = subprocess.run(
        ["groff", "-ww", "-mdoc", "-Tutf8", "-P-cbou", path], env=ENVIRONMENT,
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    expect_equal((result.returncode, result.stderr), (0, ""), f"groff {path}")
    expect_equal(re.findall(r"^[A-Z][A-Z ]+$", result.stdout, re.MULTILINE), sections, "sections")


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
def the_header_of_json_is_clean_c_and_cpp(folder):
    need_json()
    source = write(os.path.join(folder, "json.c"), '#include "weir_json.h"\n')
    flags = call("pkg-config", "--cflags", "jansson").split()
    for command in (["cc", "-std=c17"], ["c++", "-std=c++17", "-x", "c++"]):
        call(*command, *FLAGS, *flags, "-I" + CLIENT, "-fsyntax-only", source)


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
    public = sorted(name for part in PARTS for name in declared("weir", part))
    expect_equal(sorted(shared), public, "names that the shared library exports")
    if not is_sanitized():
        expect_equal(sorted(static), public, "global names of the static library")


def symbols(*command):
    rows = (line.split() for line in call(*command).splitlines())
    return {row[0] for row in rows if len(row) > 1}


if __name__ == "__main__":
    main()
