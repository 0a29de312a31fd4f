"""A TCP proxy that injects faults between the nodes of a cluster.

Each node advertises, and is dialled at, an address of the proxy. Who dials is read from the first
message of a connection (PEER_HELLO holds the node's uuid), so every direction between two nodes has
its own rules: delayed, stopped (half-open: nothing is closed, nothing goes through), cut after so
many bytes, throttled; or the pair is parted, so that connections are closed and refused.

One thread moves all bytes; waiting is select() with the time of the next thing that is due.
"""

import collections
import contextlib
import selectors
import socket
import threading
import time

HELLO_BYTES_MAX = 64 * 1024
PIECE = 64 * 1024
WAITING_BYTES_MAX = 1024 * 1024


class Rule:
    """What happens to the bytes of one direction."""

    def __init__(self):
        self.delay = 0.0  # seconds
        self.stopped = False  # bytes are neither read nor passed on
        self.cut_after = None  # both sides are closed when so many more bytes have passed
        self.bytes_per_second = None


class Flow:
    """The bytes of one direction of one connection, on their way."""

    def __init__(self, source, target):
        self.source, self.target = source, target
        self.waiting = collections.deque()  # (due, bytes)
        self.size = 0
        self.next_at = 0.0  # throttled: not before
        self.ended = False


class Pair:
    """One connection: the dialler's side and the node's."""

    def __init__(self, proxy, client, node):
        self.proxy, self.client, self.node = proxy, client, node
        self.server = None
        self.dialler = None  # the name of the node that dialled, once it is known
        self.first = bytearray()
        self.flows = {}

    def sockets(self):
        return [s for s in (self.client, self.server) if s is not None]


class FaultProxy:
    """Proxies for nodes by name. All public functions may be called from any thread."""

    def __init__(self):
        self.lock = threading.RLock()
        self.selector = selectors.DefaultSelector()
        self.listeners = {}  # socket -> node
        self.ports = {}  # node -> port to dial
        self.targets = {}  # node -> (host, port) where it listens
        self.uuids = {}  # bytes -> node
        self.rules = collections.defaultdict(Rule)  # (from, to)
        self.parted = set()  # frozenset of two nodes
        self.pairs = set()
        self.ends = {}  # socket -> pair
        self.running = True
        self.wake_out, self.wake_in = socket.socketpair()
        self.wake_in.setblocking(False)
        self.selector.register(self.wake_in, selectors.EVENT_READ)
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    # --- what tests say ----------------------------------------------------------------------

    def add(self, node):
        """Opens the port at which `node` can be dialled; it is told later where the node is."""
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        listener.setblocking(False)
        with self.lock:
            self.listeners[listener] = node
            self.ports[node] = listener.getsockname()[1]
            self.selector.register(listener, selectors.EVENT_READ)
        self._wake()
        return self.ports[node]

    def set_target(self, node, port, uuid=None):
        with self.lock:
            self.targets[node] = ("127.0.0.1", port)
            if uuid:
                self.uuids[uuid] = node

    def part(self, *sides):
        """Nodes of different sides do not reach each other any more."""
        with self.lock:
            for number, side in enumerate(sides):
                for other in sides[number + 1 :]:
                    self.parted |= {frozenset((a, b)) for a in side for b in other}
            for pair in list(self.pairs):
                if self._is_parted(pair):
                    self._close(pair)
        self._wake()

    def rejoin(self):
        """Undoes part(); rules stay."""
        with self.lock:
            self.parted.clear()
        self._wake()

    def heal(self):
        """Forgets everything that was said."""
        with self.lock:
            self.parted.clear()
            self.rules.clear()
        self._wake()

    def rule(self, source, target, **what):
        with self.lock:
            for name, value in what.items():
                setattr(self.rules[(source, target)], name, value)
        self._wake()

    def cut_all(self):
        with self.lock:
            for pair in list(self.pairs):
                self._close(pair)
        self._wake()

    def close(self):
        self.running = False
        self._wake()
        self.thread.join(10)

    # --- the thread --------------------------------------------------------------------------

    def _wake(self):
        with contextlib.suppress(OSError):
            self.wake_out.send(b"!")

    def _is_parted(self, pair):
        return frozenset((pair.dialler, pair.node)) in self.parted

    def _run(self):
        while self.running:
            with self.lock:
                wait = self._move()
            for key, _ in self.selector.select(wait):
                with self.lock:
                    self._ready(key.fileobj)
        with self.lock:
            for pair in list(self.pairs):
                self._close(pair)
            for listener in self.listeners:
                listener.close()

    def _ready(self, sock):
        if sock is self.wake_in:
            with contextlib.suppress(BlockingIOError):
                self.wake_in.recv(4096)
        elif sock in self.listeners:
            self._accept(sock)
        elif sock in self.ends:
            self._receive(self.ends[sock], sock)

    def _accept(self, listener):
        try:
            client, _ = listener.accept()
        except OSError:
            return
        client.setblocking(False)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        pair = Pair(self, client, self.listeners[listener])
        self.pairs.add(pair)
        self.ends[client] = pair
        self.selector.register(client, selectors.EVENT_READ)

    def _connect(self, pair):
        """The first message is here: who is it, and may it go on?"""
        length = int.from_bytes(pair.first[:4], "big")
        for uuid, node in self.uuids.items():
            if uuid in pair.first[: 4 + length]:
                pair.dialler = node
        target = self.targets.get(pair.node)
        if target is None or self._is_parted(pair):
            self._close(pair)
            return
        try:
            server = socket.create_connection(target, timeout=5)
        except OSError:
            self._close(pair)
            return
        server.setblocking(False)
        server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        pair.server = server
        self.ends[server] = pair
        self.selector.register(server, selectors.EVENT_READ)
        there, back = Flow(pair.client, server), Flow(server, pair.client)
        pair.flows = {pair.client: there, server: back}
        self._take(pair, there, bytes(pair.first))

    def _rule_of(self, pair, flow):
        there = flow.source is pair.client
        names = (pair.dialler, pair.node) if there else (pair.node, pair.dialler)
        return self.rules[names] if names in self.rules else None

    def _receive(self, pair, sock):
        flow = pair.flows.get(sock)
        rule = self._rule_of(pair, flow) if flow else None
        if flow and (flow.size >= WAITING_BYTES_MAX or (rule and rule.stopped)):
            return  # left in the socket; _move looks again
        try:
            data = sock.recv(PIECE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._close(pair)
        elif flow:
            self._take(pair, flow, data)
        else:
            pair.first += data
            length = int.from_bytes(pair.first[:4], "big") if len(pair.first) >= 4 else 0
            if len(pair.first) > HELLO_BYTES_MAX or length > HELLO_BYTES_MAX:
                self._close(pair)
            elif len(pair.first) >= 4 + length > 4:
                self._connect(pair)

    def _take(self, pair, flow, data):
        rule = self._rule_of(pair, flow)
        if rule and rule.cut_after is not None:
            if len(data) >= rule.cut_after:
                with contextlib.suppress(OSError):
                    flow.target.send(data[: rule.cut_after])
                rule.cut_after = None
                self._close(pair)
                return
            rule.cut_after -= len(data)
        flow.waiting.append((time.monotonic() + (rule.delay if rule else 0), data))
        flow.size += len(data)

    def _move(self):
        """Sends what is due; returns how long to wait for the next (None: for bytes)."""
        now = time.monotonic()
        wait = None
        for pair in list(self.pairs):
            for flow in list(pair.flows.values()):
                if pair not in self.pairs:
                    break  # the other direction has closed it
                due = self._move_flow(pair, flow, now)
                if due is not None:
                    wait = due if wait is None else min(wait, due)
        return wait

    def _set_reading(self, sock, wanted):
        key = self.selector.get_map().get(sock)
        if wanted and key is None:
            self.selector.register(sock, selectors.EVENT_READ)
        elif not wanted and key is not None:
            self.selector.unregister(sock)

    def _move_flow(self, pair, flow, now):
        rule = self._rule_of(pair, flow)
        stopped = bool(rule and rule.stopped)
        self._set_reading(flow.source, not stopped and flow.size < WAITING_BYTES_MAX)
        if stopped:
            return None
        while flow.waiting and pair in self.pairs:
            due, data = flow.waiting[0]
            due = max(due, flow.next_at)
            if due > now:
                return due - now
            part = data[:1024] if rule and rule.bytes_per_second else data
            try:
                sent = flow.target.send(part)
            except BlockingIOError:
                return 0.002
            except OSError:
                self._close(pair)
                return None
            flow.size -= sent
            if rule and rule.bytes_per_second:
                flow.next_at = now + sent / rule.bytes_per_second
            if sent == len(data):
                flow.waiting.popleft()
            else:
                flow.waiting[0] = (due, data[sent:])
        return None

    def _close(self, pair):
        self.pairs.discard(pair)
        for sock in pair.sockets():
            if self.selector.get_map().get(sock) is not None:
                self.selector.unregister(sock)
            self.ends.pop(sock, None)
            sock.close()
