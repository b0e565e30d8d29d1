"""Mutated audio: what is decoded never crashes the server, is never a 5xx, and takes no longer than a file may.

`python -m tests.fuzz.audio` runs all of it; the test beside this file runs a little.
"""

import argparse
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

import requests

from chatterbox_plus.audio.decode import Decoder
from chatterbox_plus.errors import InvalidAudio
from tests.fuzz.mutations import Broken, broken_files, seeds
from tests.live import LiveServer, live_server

T = TypeVar("T")
SLOWEST_S = 2.0  # that a file may take
WORKERS = 2
SHARE = 5  # every so many-th file is sent over HTTP, too
_ROUTES = {
    "/api/v1/vc": "input_audio",
    "/api/v1/voice": "voice_file",
    "/api/v1/vc_input": "vc_input_file",
    "/api/v1/concat/mixed": "uploaded_files",
}
_FIELDS = {  # of all of them; none minds the others'
    "target_voice_source": "speaker1.wav",
    "overwrite": "true",
    "request_json": '{"segments": [{"type": "upload", "index": 0}]}',
}


@dataclass
class Outcome:
    """What became of the files."""

    counts: Counter[str] = field(default_factory=Counter)
    slowest: tuple[float, str] = (0.0, "")
    problems: list[str] = field(default_factory=list)
    slow: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, what: str, took_s: float, file: Broken, problem: str | None = None) -> None:
        with self._lock:
            self.counts[what] += 1
            self.slowest = max(self.slowest, (took_s, f"{file.name} ({file.how})"))
            if took_s > SLOWEST_S:
                self.slow.append(f"{file.name} ({file.how}) took {took_s:.1f} s")
            if problem:
                self.problems.append(f"{file.name} ({file.how}): {problem}")

    @property
    def troubles(self) -> int:
        return len(self.problems) + len(self.slow)

    def __str__(self) -> str:
        told = ", ".join(f"{what} {count}" for what, count in sorted(self.counts.items()))
        return f"{self.counts.total()} files: {told}; the slowest took {self.slowest[0]:.2f} s: {self.slowest[1]}"


def decode(files: Iterable[Broken], folder: Path, keep: Path | None = None) -> Outcome:
    """Every file through the confined decoder as an upload goes, every fourth as speech is read, too.

    keep: where files that made trouble are left.
    """
    outcome = Outcome()
    with Decoder(workers=WORKERS) as decoder:
        decoder.warm_up()

        def once(path: Path) -> tuple[str, str | None]:
            try:
                decoder.probe(path, thorough=True)
                if int(path.name[:5]) % 4 == 0:
                    decoder.read(path, rate=24_000)
            except InvalidAudio as error:  # AudioTooLong is one
                crashed = error.message.endswith("it cannot be decoded")  # the child died, and has been replaced
                return "crashes of a confined child" if crashed else type(error).__name__, None
            except Exception as error:  # noqa: BLE001 - what must not be is what is looked for
                return type(error).__name__, f"{type(error).__name__}: {error}"
            return "decoded", None

        def one(file: Broken) -> None:
            path, before = folder / file.name, outcome.troubles
            path.write_bytes(file.content)
            (what, problem), took_s = _timed(lambda: once(path))
            outcome.add(what, took_s, file, problem)
            if keep is not None and outcome.troubles > before:
                (keep / file.name).write_bytes(file.content)
            path.unlink()

        def work() -> None:
            while True:
                with taking:
                    file = next(waiting, None)
                if file is None:
                    return
                one(file)

        waiting, taking = iter(files), threading.Lock()
        with ThreadPoolExecutor(WORKERS) as pool:
            for done in [pool.submit(work) for _ in range(WORKERS)]:
                done.result()
    return outcome


def upload(files: Iterable[Broken], server: LiveServer) -> Outcome:
    """Every file to each of the server's routes that take one. Statuses from 500 on are problems. A conversion that
    succeeds is speech processing, and its time none of the file's."""
    outcome, session = Outcome(), requests.Session()

    def once(file: Broken, path: str) -> tuple[str, str | None]:
        content = {_ROUTES[path]: (file.name, file.content)}
        try:
            answer = session.post(server.url + path, files=content, data=_FIELDS, timeout=60)
        except requests.RequestException as error:
            return "broke off", type(error).__name__
        status = answer.status_code
        refused = status >= 500 or status in (404, 405)
        return str(status), f"{path} answered {status}: {answer.text[:200]}" if refused else None

    for file in files:
        for path in _ROUTES:
            (what, problem), took_s = _timed(partial(once, file, path))
            outcome.add(f"{path} {what}", 0.0 if (path, what) == ("/api/v1/vc", "200") else took_s, file, problem)
    if server.process.poll() is not None:
        outcome.problems.append(f"the server ended with {server.process.returncode}")
    return outcome


def _timed(work: Callable[[], T]) -> tuple[T, float]:
    """What came of it, and how many seconds it took: the fewest of three where the first was too slow, as the rest of
    the machine may have been busy."""
    took: list[float] = []
    while not took or (min(took) > SLOWEST_S and len(took) < 3):
        began = time.perf_counter()
        result = work()
        took.append(time.perf_counter() - began)
    return result, min(took)


def main() -> int:
    parser = argparse.ArgumentParser("fuzz", description=__doc__)
    parser.add_argument("--count", type=int, default=3600, help="files (default 3600)")
    parser.add_argument("--seed", type=int, default=1, help="other seeds, other files (default 1)")
    parser.add_argument("--keep", type=Path, help="a folder for the files that make trouble")
    args = parser.parse_args()
    if args.keep:
        args.keep.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="chatterbox-fuzz-") as name:
        folder = Path(name)
        whole = seeds(folder)
        decoded = decode(broken_files(args.count, args.seed, whole), folder, args.keep)
        sys.stdout.write(f"decoded: {decoded}\n")
        with live_server(folder / "server", env={"CHATTERBOX_LOG_LEVEL": "error"}) as server:
            share = (file for file in broken_files(args.count, args.seed, whole) if int(file.name[:5]) % SHARE == 0)
            sent = upload(share, server)
    problems = decoded.problems + decoded.slow + sent.problems + sent.slow
    sys.stdout.write("\n".join([f"over HTTP: {sent}", *problems, ""]))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
