"""A hub on loopback: the two questions that pulls ask, and whatever can go wrong with the answers."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGE = 1000  # bytes; files beyond have a SHA-256, as those in Git LFS


@dataclass
class Asked:
    method: str
    path: str
    range: str | None
    authorization: str | None


@dataclass
class FakeHub:
    """repos: name -> files. sent: bytes of bodies, by file name.

    cut: file -> bytes after which its next answers break off, one for each. statuses: answers to the next requests.
    cdn: where the bodies are, if not here.
    gates: file -> an event its body waits for after its first half. wrong: files that are not what the hub says.
    """

    repos: dict[str, dict[str, bytes]]
    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    sent: dict[str, int] = field(default_factory=dict)
    cut: dict[str, list[int]] = field(default_factory=dict)
    statuses: list[int] = field(default_factory=list)
    gates: dict[str, threading.Event] = field(default_factory=dict)
    wrong: set[str] = field(default_factory=set)
    knows_ranges: bool = True
    cdn: str = ""

    def bodies(self, name: str) -> list[Asked]:
        return [one for one in self.asked if one.path.endswith("/" + name)]

    def info(self, repo: str) -> dict[str, Any]:
        siblings = []
        for name, content in self.repos[repo].items():
            item: dict[str, Any] = {
                "rfilename": name,
                "size": len(content),
                "blobId": hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest(),
            }
            if len(content) > LARGE:
                item["lfs"] = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 135}
            siblings.append(item)
        return {"id": repo, "sha": COMMIT, "siblings": siblings}


class _Visit(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        hub = cast(Any, self.server).hub
        path = self.path.partition("?")[0]
        hub.asked.append(Asked("GET", path, self.headers.get("Range"), self.headers.get("Authorization")))
        if hub.statuses:
            return self._answer(hub.statuses.pop(0), b"{}")
        for repo, files in hub.repos.items():
            if path == f"/api/models/{repo}/revision/main":
                return self._answer(200, json.dumps(hub.info(repo)).encode())
            if path.startswith(f"/{repo}/resolve/{COMMIT}/") and (name := path.rpartition("/")[2]) in files:
                # as the hub does it: the bytes are elsewhere
                return self._answer(302, b"", Location=f"{hub.cdn}/cdn/{repo}/{name}")
            if path.startswith(f"/cdn/{repo}/") and (name := path.rpartition("/")[2]) in files:
                return self._body(hub, name, files[name])
        return self._answer(404, b"{}")

    def _body(self, hub: FakeHub, name: str, content: bytes) -> None:
        start = 0
        asked = self.headers.get("Range")
        if name in hub.wrong:
            content = content[:-1] + bytes([content[-1] ^ 1])
        if asked and hub.knows_ranges:
            start = int(asked.removeprefix("bytes=").partition("-")[0])
        rest = content[start:]
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Connection", "close")
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        cuts = hub.cut.get(name)
        if cuts:
            rest = rest[: cuts.pop(0)]
        half = len(rest) // 2 if name in hub.gates else 0
        for block in (rest[:half], rest[half:]):
            self.wfile.write(block)
            self.wfile.flush()
            hub.sent[name] = hub.sent.get(name, 0) + len(block)
            if half and block is not rest[half:] and not hub.gates[name].is_set():
                hub.gates[name].wait(20)

    def _answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Connection", "close")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # clients that are called off go at any time


@contextmanager
def fake_hub(repos: dict[str, dict[str, bytes]]) -> Iterator[FakeHub]:
    server = _Server(("127.0.0.1", 0), _Visit)
    hub = FakeHub(repos, f"http://127.0.0.1:{server.server_address[1]}")
    cast(Any, server).hub = hub
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield hub
    finally:
        for gate in hub.gates.values():
            gate.set()
        server.shutdown()
        thread.join()
        server.server_close()
