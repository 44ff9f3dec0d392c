"""A proxy before an object store: delays each request, counts requests and bytes, and makes faults on demand.

    python proxy.py PORT SERVER_PORT DELAY_MS       until Ctrl-C, which prints the counts

In tests it runs in a thread of the test:

    with Proxy(server.port, delay=0.03) as proxy:
        proxy.fault("lost", of="PUT", match="_delta_log")
        run("load", …, environment=server.environment(proxy.port))
        proxy.counts["GET"], proxy.bytes["out"]
"""

import asyncio
import contextlib
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass
from urllib.parse import unquote

HERE = "127.0.0.1"
# A connection to the server that is idle for longer may be about to be closed by it.
IDLE_SECONDS = 2
CHUNK = 1 << 18

# Answered without asking the server. A real 403 of S3 holds the key id and the text to sign, which must not be shown.
LEAK = "LEAKED-KEY-ID"
ANSWERS = {
    "403": (403, "Forbidden", f"<Code>ExpiredToken</Code><AWSAccessKeyId>{LEAK}</AWSAccessKeyId>"),
    "409": (409, "Conflict", "<Code>ConditionalRequestConflict</Code>"),
    "429": (429, "Too Many Requests", "<Code>TooManyRequests</Code>"),
    "500": (500, "Internal Server Error", "<Code>InternalError</Code>"),
    "503": (503, "Slow Down", "<Code>SlowDown</Code>"),
}
# The server does what is asked, and the client is told otherwise.
#   lost         no answer: the connection is closed
#   lost-503     the answer is a 503
#   cut          half of the body, then the connection is closed
#   stall        no answer, and the connection stays open
#   stall-body   half of the body, and the connection stays open
AFTER = ("lost", "lost-503", "cut", "stall", "stall-body")


@dataclass
class Fault:
    """What goes wrong with requests of a kind whose address contains `match`: every n-th fails, `times` times."""

    kind: str
    times: int
    of: str | None
    match: str
    every: int
    seen: int = 0
    met: int = 0

    def hits(self, request):
        if self.times <= self.met or self.of not in (None, request.kind) or self.match not in request.address:
            return False
        self.seen += 1
        if self.seen % self.every:
            return False
        self.met += 1
        return True


class Message:
    """The head of a request or an answer: the first line, and the headers in lower case."""

    def __init__(self, head):
        first, *lines = head.decode("latin-1").split("\r\n")
        self.first = first.split(" ", 2)
        self.headers = {
            name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines) if value
        }

    @property
    def length(self):
        return int(self.headers.get("content-length", 0))

    @property
    def chunked(self):
        return "chunked" in self.headers.get("transfer-encoding", "")

    @property
    def closes(self):
        return self.headers.get("connection", "").lower() == "close"


class Request(Message):
    def __init__(self, head):
        super().__init__(head)
        self.method, path = self.first[0], self.first[1]
        self.address = unquote(path)
        query = path.partition("?")[2]
        if self.method == "GET" and any(word in query for word in ("list-type=2", "comp=list", "versions", "prefix=")):
            self.kind = "LIST"
        elif self.method == "PUT" and any(name.endswith("-copy-source") for name in self.headers):
            self.kind = "COPY"
        elif self.method == "POST" and (query.startswith("delete") or "comp=batch" in query):
            self.kind = "DELETE"
        else:
            self.kind = self.method


class Broken(Exception):
    """The client is to lose its connection."""


class Proxy:
    """A proxy on loopback, from `with` to its end."""

    def __init__(self, server, delay=0.0, port=0):
        self.server, self.delay, self.port = server, delay, port
        self.faults = []
        self.open = set()
        self.reset()

    def reset(self):
        """Forgets what was counted."""
        self.counts = Counter()   # requests by kind
        self.statuses = Counter()  # answers by (kind, status), as the server gave them
        self.requests = []        # (kind, address) in the order of arrival
        self.bytes = Counter()    # of bodies, "in" to the server and "out" from it
        self.at_once = self.most_at_once = 0

    def fault(self, kind, times=1, of=None, match="", every=1):
        """Makes the next requests fail, or every n-th of them, `times` times: kinds are in `ANSWERS` and `AFTER`."""
        assert kind in ANSWERS or kind in AFTER, kind
        fault = Fault(kind, times, of, match, every)
        self.faults.append(fault)
        return fault

    def __enter__(self):
        ready = threading.Event()
        self.thread = threading.Thread(target=lambda: asyncio.run(self.serve(ready)), daemon=True)
        self.thread.start()
        assert ready.wait(10), "the proxy does not start"
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.ended.set)
        self.thread.join()

    async def serve(self, ready):
        self.loop, self.ended = asyncio.get_running_loop(), asyncio.Event()
        listener = await asyncio.start_server(self.connection, HERE, self.port, limit=1 << 20, backlog=512)
        self.port = listener.sockets[0].getsockname()[1]
        ready.set()
        await self.ended.wait()
        listener.close()
        for task in self.open:
            task.cancel()
        await asyncio.gather(*self.open, return_exceptions=True)

    async def connection(self, reader, writer):
        """Serves a client's connection; one to the server belongs to it."""
        task = asyncio.current_task()
        self.open.add(task)
        server = Upstream(self.server)
        try:
            while await self.exchange(reader, writer, server):
                pass
        except (asyncio.IncompleteReadError, OSError, Broken):
            pass
        except asyncio.CancelledError:
            # The proxy ends: nobody awaits this task's outcome.
            pass
        finally:
            self.open.discard(task)
            server.close()
            writer.close()

    async def exchange(self, reader, writer, server):
        """One request and its answer. Returns `true` if the connection can carry another."""
        head = await reader.readuntil(b"\r\n\r\n")
        request = Request(head)
        self.counts[request.kind] += 1
        self.requests.append((request.kind, request.address))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            if "expect" in request.headers:
                writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                head = b"\r\n".join(line for line in head.split(b"\r\n") if not line.lower().startswith(b"expect:"))
            fault = next((fault.kind for fault in self.faults if fault.hits(request)), None)
            if self.delay:
                await asyncio.sleep(self.delay)
            if fault in ANSWERS:
                await self.copy(request, reader)
                status, reason, said = ANSWERS[fault]
                await self.answer(writer, request, status, reason, f"<Error>{said}</Error>")
                return True
            await server.connect()
            server.writer.write(head)
            await self.copy(request, reader, server.writer, "in")
            return await self.pass_on(request, server, writer, fault)
        finally:
            self.at_once -= 1

    async def pass_on(self, request, server, writer, fault):
        """Gives the client the server's answer, or what the fault makes of it."""
        head = await server.reader.readuntil(b"\r\n\r\n")
        answer = Message(head)
        status = int(answer.first[1])
        self.statuses[request.kind, status] += 1
        empty = request.method == "HEAD" or status in (204, 304)
        if fault in ("lost", "lost-503", "stall"):
            if not empty:
                await self.copy(answer, server.reader)
            if fault == "lost":
                raise Broken
            if fault == "stall":
                await self.ended.wait()
            await self.answer(writer, request, 503, "Slow Down", "<Error><Code>SlowDown</Code></Error>")
            return True
        writer.write(head)
        if fault in ("cut", "stall-body"):
            writer.write(await server.reader.readexactly(answer.length // 2))
            await writer.drain()
            if fault == "stall-body":
                await self.ended.wait()
            raise Broken
        if not empty:
            await self.copy(answer, server.reader, writer, "out")
        await writer.drain()
        server.used()
        return not (request.closes or answer.closes)

    async def copy(self, message, reader, writer=None, way=None):
        """Passes a body on, or drops it if there is no writer."""
        left = None if message.chunked else message.length
        while left != 0:
            if message.chunked:
                line = await reader.readuntil(b"\n")
                left = int(line.split(b";")[0], 16)
                part = line + await reader.readexactly(left + 2)
            else:
                part = await reader.read(min(CHUNK, left))
                left -= len(part)
                if not part:
                    raise Broken
            if writer:
                # Counted first: who has the whole answer finds its bytes in the counts.
                self.bytes[way] += len(part)
                writer.write(part)
                await writer.drain()

    async def answer(self, writer, request, status, reason, said):
        body = b"" if request.method == "HEAD" else said.encode()
        writer.write(
            f"HTTP/1.1 {status} {reason}\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\n\r\n"
            .encode() + body
        )
        await writer.drain()


class Upstream:
    """A connection to the server, opened anew when it was idle."""

    def __init__(self, port):
        self.port, self.reader, self.writer, self.last = port, None, None, 0.0

    async def connect(self):
        if self.writer and not self.reader.at_eof() and time.monotonic() - self.last < IDLE_SECONDS:
            return
        self.close()
        self.reader, self.writer = await asyncio.open_connection(HERE, self.port, limit=1 << 20)

    def used(self):
        self.last = time.monotonic()

    def close(self):
        if self.writer:
            self.writer.close()


if __name__ == "__main__":
    port, server, delay = sys.argv[1:]
    with Proxy(int(server), float(delay) / 1000, int(port)) as running:
        with contextlib.suppress(KeyboardInterrupt):
            running.thread.join()
    megabytes = running.bytes["out"] / 1e6
    print(dict(running.counts), f"{megabytes:.1f} MB from the server, {running.most_at_once} requests at once")
