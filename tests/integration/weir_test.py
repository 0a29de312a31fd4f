"""Real processes for tests: servers, commands, and waiting for what can be observed.

Nothing here sleeps. Output of a process is read by a thread as it comes; waiting means waiting for
a line, for the end of a process, or for a condition that is asked again after each short block in
select(), always with a deadline. Every process that a test starts ends with the test.

A test file defines functions with @test and ends with main(). Output is TAP.
"""

import contextlib
import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
REDUCED = bool(os.environ.get("WEIR_TEST_REDUCED"))  # under sanitizers: the same, but less of it
SLOWNESS = 4 if REDUCED else 1  # how much longer everything may take

READY = re.compile(r"^ready: native (?:.*:)?(\d+)$")
SANITIZER = re.compile(r"AddressSanitizer|LeakSanitizer|ThreadSanitizer|runtime error:")
ASSERTION = re.compile(r"Assertion .* failed|stack smashing|buffer overflow detected")


def find_build():
    """The build directory: WEIR_BUILD, or the first one that holds a server."""
    named = os.environ.get("WEIR_BUILD")
    candidates = [named] if named else [os.path.join(ROOT, n) for n in ("build-test", "build")]
    for build in candidates:
        if os.path.exists(os.path.join(build, "server", "weir-server")):
            return os.path.abspath(build)
    sys.exit("no weir-server in " + ", ".join(candidates) + ": build it, or set WEIR_BUILD")


BUILD = find_build()
SERVER = os.path.join(BUILD, "server", "weir-server")
CLI = os.path.join(BUILD, "client-cli", "weir")

# What processes inherit: nothing that would configure them behind a test's back.
ENVIRONMENT = {key: value for key, value in os.environ.items() if not key.startswith("WEIR_")}

processes = []  # everything that was started and may still run


class Failure(AssertionError):
    """A test's expectation that did not hold, in one sentence."""


def expect(condition, text, *details):
    if not condition:
        raise Failure("\n".join([text] + [f"  {detail!r}" for detail in details]))


def expect_equal(actual, expected, what="value"):
    expect(actual == expected, f"{what} differs", {"is": actual}, {"expected": expected})


def deadline_in(seconds):
    return time.monotonic() + seconds * SLOWNESS


def wait_until(condition, what, seconds=10):
    """Asks until it is true and returns the answer; Failure after the deadline."""
    deadline = deadline_in(seconds)
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() >= deadline:
            raise Failure(f"waited {seconds} s in vain for: {what}")
        select.select([], [], [], 0.02)


class Output:
    """What a process writes to one pipe, read by a thread as it comes, so it never blocks."""

    def __init__(self, pipe):
        self.changed = threading.Condition()
        self.data = bytearray()
        self.newlines = 0
        self.ended = False
        self.thread = threading.Thread(target=self._read, args=(pipe,), daemon=True)
        self.thread.start()

    def _read(self, pipe):
        with contextlib.suppress(OSError, ValueError):
            while piece := os.read(pipe.fileno(), 1 << 16):
                with self.changed:
                    self.data += piece
                    self.newlines += piece.count(b"\n")
                    self.changed.notify_all()
        with self.changed:
            self.ended = True
            self.changed.notify_all()
        pipe.close()

    def text(self):
        with self.changed:
            return self.data.decode("utf-8", "replace")

    def lines(self):
        """The whole lines so far."""
        with self.changed:
            return self.data[: self.data.rfind(b"\n") + 1].decode("utf-8", "replace").splitlines()

    def wait(self, condition, what, seconds=10):
        """Waits until condition() is true and returns what it said; called when there is more."""
        deadline = deadline_in(seconds)
        with self.changed:
            while True:
                answer = condition()
                if answer:
                    return answer
                left = deadline - time.monotonic()
                if self.ended or left <= 0:
                    how = "ended without" if self.ended else f"waited {seconds} s in vain for"
                    raise Failure(f"{how}: {what}; output: {self.data[-2000:]!r}")
                self.changed.wait(left)

    def wait_line(self, pattern, seconds=10):
        """The match of the first line in which the pattern is found."""
        expression = re.compile(pattern) if isinstance(pattern, str) else pattern
        looked_at = 0

        def first():
            nonlocal looked_at
            end = self.data.rfind(b"\n") + 1
            new = self.data[looked_at:end].decode("utf-8", "replace").splitlines()
            looked_at = end
            return next((m for m in map(expression.search, new) if m), None)

        return self.wait(first, f"a line with {expression.pattern!r}", seconds)

    def wait_count(self, count, seconds=10):
        """Waits for that many lines."""
        self.wait(lambda: self.newlines >= count, f"{count} lines", seconds)

    def wait_lines(self, count, seconds=10):
        """Waits for that many lines and returns all there are."""
        self.wait_count(count, seconds)
        return self.lines()


class Process:
    """A process with its outputs; ends with the test."""

    def __init__(self, arguments, env=None, stdin=subprocess.DEVNULL, cwd=None, prefix=()):
        self.arguments = list(arguments)
        self.popen = subprocess.Popen(
            [*prefix, *self.arguments],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**ENVIRONMENT, **(env or {})},
            cwd=cwd,
            bufsize=0,
        )
        processes.append(self)
        self.stdout = Output(self.popen.stdout)
        self.stderr = Output(self.popen.stderr)

    @property
    def pid(self):
        return self.popen.pid

    def is_running(self):
        return self.popen.poll() is None

    def signal(self, number):
        if self.is_running():
            self.popen.send_signal(number)

    def wait(self, seconds=10):
        """Waits for the end and returns the exit status (negative: the signal)."""
        try:
            status = self.popen.wait(seconds * SLOWNESS)
        except subprocess.TimeoutExpired:
            raise Failure(
                f"{os.path.basename(self.arguments[0])} did not end within {seconds} s"
            ) from None
        self.stdout.thread.join(10)
        self.stderr.thread.join(10)
        return status

    def kill(self):
        """SIGKILL, and waits for the end."""
        self.signal(signal.SIGKILL)
        self.popen.wait()

    def close(self):
        """At the end of a test: gone, and nothing went wrong that nobody looked at."""
        self.kill()
        self.stderr.thread.join(10)
        text = self.stderr.text()
        for wrong in (SANITIZER, ASSERTION):
            if wrong.search(text):
                raise Failure(f"{self.arguments[0]} said:\n{text[-8000:]}")


class Result:
    """How a command ended."""

    def __init__(self, arguments, status, stdout, stderr):
        self.arguments, self.status = arguments, status
        self.stdout, self.stderr = stdout, stderr

    @property
    def lines(self):
        return self.stdout.splitlines()

    def json_lines(self):
        return [json.loads(line) for line in self.lines]

    def __repr__(self):
        return (
            f"weir {' '.join(self.arguments)}: exit {self.status}\n"
            f"stdout: {self.stdout[-1500:]}\nstderr: {self.stderr[-1500:]}"
        )


def run_weir(*arguments, env=None, stdin=None, seconds=20, status=0, binary=False):
    """Runs `weir` to its end; Failure unless it exits with `status` (None: any)."""
    options = {"input": stdin} if stdin is not None else {"stdin": subprocess.DEVNULL}
    if isinstance(stdin, str):
        options["input"] = stdin.encode()
    try:
        ended = subprocess.run(
            [CLI, *arguments],
            capture_output=True,
            timeout=seconds * SLOWNESS,
            env={**ENVIRONMENT, **(env or {})},
            check=False,
            **options,
        )
    except subprocess.TimeoutExpired:
        raise Failure(f"weir {' '.join(arguments)} did not end within {seconds} s") from None
    stdout = ended.stdout if binary else ended.stdout.decode("utf-8", "replace")
    result = Result(arguments, ended.returncode, stdout, ended.stderr.decode("utf-8", "replace"))
    if SANITIZER.search(result.stderr) or ASSERTION.search(result.stderr):
        raise Failure(f"weir {' '.join(arguments)} said:\n{result.stderr[-8000:]}")
    if status is not None and result.status != status:
        raise Failure(f"expected exit {status}: {result!r}")
    return result


class Server:
    """A weir-server over one data directory; can be stopped and started again on its port."""

    def __init__(self, folder, *options, memory=64, start=True, env=None, prefix=()):
        self.folder = folder
        self.data = os.path.join(folder, "data")
        self.options = list(options)
        self.memory = memory
        self.port = 0
        self.env = env or {}
        self.prefix = prefix
        self.process = None
        if start:
            self.start()

    def arguments(self):
        return [
            SERVER,
            *("--data-dir", self.data),
            *("--port", str(self.port)),
            *("--max-memory", str(self.memory)),
            *self.options,
        ]

    def start(self, seconds=20):
        self.process = Process(self.arguments(), env=self.env, prefix=self.prefix)
        self.port = int(self.process.stderr.wait_line(READY, seconds).group(1))
        return self

    def stop(self, seconds=5, status=0):
        """SIGTERM; Failure unless it ends in time with that status."""
        self.process.signal(signal.SIGTERM)
        actual = self.process.wait(seconds)
        expect(actual == status, f"exit {actual}", self.process.stderr.text()[-3000:])

    def kill(self):
        self.process.kill()

    def restart(self):
        self.stop()
        return self.start()

    def rss_bytes(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            for line in status:
                if line.startswith("VmRSS:"):
                    return int(line.split()[1]) * 1024
        raise Failure("the server has no memory any more")

    # --- commands against it -----------------------------------------------------------------

    def client_env(self, env=None):
        return {"WEIR_HOST": "127.0.0.1", "WEIR_PORT": str(self.port), **(env or {})}

    def weir(self, *arguments, env=None, **options):
        return run_weir(*arguments, env=self.client_env(env), **options)

    def weir_start(self, *arguments, stdin=subprocess.DEVNULL, env=None):
        """Starts a command that goes on, a tail for example."""
        return Process([CLI, *arguments], env=self.client_env(env), stdin=stdin)

    def produce(self, namespace, *data, options=()):
        """Produces events and returns their ids."""
        arguments = [word for text in data for word in ("-d", text)]
        return self.weir("produce", "-n", namespace, *arguments, *options).lines

    def produce_lines(self, namespace, lines, seconds=60):
        """Produces every line as an event and returns the ids."""
        text = "".join(line + "\n" for line in lines)
        return self.weir(
            "produce", "-n", namespace, "--lines", "-", stdin=text, seconds=seconds
        ).lines

    def events(self, *options, seconds=60):
        """What `consume --output json` with these options prints."""
        arguments = ("consume", "--no-reconnect", "--output", "json", *options)
        return self.weir(*arguments, seconds=seconds).json_lines()

    def status(self):
        return json.loads(self.weir("status", "--output", "json").stdout)

    def connect(self, timeout=10):
        """A raw connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=timeout * SLOWNESS)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def event_key(text):
    """An id's canonical text as (counter, actor)."""
    expect(re.fullmatch(r"\d{25}", text), "not the canonical text of an id", text)
    return int(text[:20]), int(text[20:])


def expect_ascending(ids):
    keys = [event_key(text) for text in ids]
    for before, after in zip(keys, keys[1:]):
        expect(before < after, "ids not in ascending order, or repeated", before, after)


# --- tests -----------------------------------------------------------------------------------

tests = []


def test(function):
    """Decorator: the function is a test; it gets an empty folder of its own."""
    tests.append(function)
    return function


class Skip(Exception):
    """The test cannot run here, and why."""


def describe(function):
    return function.__name__.replace("_", " ")


def run_one(function):
    """None, or what went wrong."""
    folder = tempfile.mkdtemp(prefix="weir-test-")
    wrong = None
    try:
        function(folder)
    except Failure as failure:
        place = traceback.extract_tb(failure.__traceback__)
        where = next((f for f in reversed(place) if not f.filename.endswith("weir_test.py")), None)
        wrong = (f"{os.path.basename(where.filename)}:{where.lineno}: " if where else "") + str(
            failure
        )
    except Skip:
        raise
    except Exception:  # pylint: disable=broad-except
        wrong = traceback.format_exc()
    finally:
        for process in processes:
            try:
                process.close()
            except Failure as failure:
                wrong = f"{wrong}\n{failure}" if wrong else str(failure)
        if wrong:
            for process in processes:
                tail = process.stderr.text()[-3000:]
                wrong += f"\n--- {' '.join(process.arguments)[:300]}\n{tail}"
        processes.clear()
        shutil.rmtree(folder, ignore_errors=True)
    return wrong


def main():
    """Runs the tests of this file, or those whose name holds one of the arguments."""
    words = sys.argv[1:]
    chosen = [f for f in tests if not words or any(word in f.__name__ for word in words)]
    print(f"1..{len(chosen)}", flush=True)
    failed = 0
    for number, function in enumerate(chosen, 1):
        name = describe(function)
        try:
            wrong = run_one(function)
        except Skip as skip:
            print(f"ok {number} - {name} # SKIP {skip}", flush=True)
            continue
        print(f"{'not ok' if wrong else 'ok'} {number} - {name}", flush=True)
        if wrong:
            failed += 1
            for line in wrong.splitlines():
                print(f"# {line}", flush=True)
    sys.exit(1 if failed else 0)
