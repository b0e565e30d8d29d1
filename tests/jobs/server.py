"""A server of tasks without HTTP, for pulling its plug: `python -m tests.jobs.server DATA_DIR [DB_URL]`.

It says `ready`, works on what is in the database, and does what stdin tells, a line at a time:
`submit NUMBER PASSAGES [once]`: answers `kept NUMBER ID` when the task is safely kept, else `refused NUMBER CODE`
(once: with an Idempotency-Key made of the number). `stop`, or the end of stdin: hands back what is in hand, and ends.
"""

import hashlib
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chatterbox_plus.audio.decode import Decoder
from chatterbox_plus.engines.host import EngineHost
from chatterbox_plus.engines.registry import Engines
from chatterbox_plus.errors import PlusError
from chatterbox_plus.jobs import office
from chatterbox_plus.jobs.database import Database, database_url
from chatterbox_plus.jobs.files import TaskFiles
from chatterbox_plus.jobs.queue import Jobs
from chatterbox_plus.jobs.records import NewTask
from chatterbox_plus.jobs.states import Kind
from chatterbox_plus.library.content import ContentStore
from chatterbox_plus.library.library import Library
from chatterbox_plus.net.guard import Guard
from chatterbox_plus.synthesis.studio import Studio
from chatterbox_plus.synthesis.takes import Takes
from tests.jobs.engines import COUNTING

BEAT_S, DEAD_S, QUIET_S = "TESTS_BEAT_S", "TESTS_DEAD_S", "TESTS_QUIET_S"  # other values for what `office` calls so
CONCURRENCY = 4
WORKERS = 2


@contextmanager
def house(data: Path, url: str = "", *, concurrency: int = CONCURRENCY, workers: int = WORKERS) -> Iterator[Jobs]:
    """Durable work in that folder, with the counting engine; nothing started."""
    folders = (data / name for name in ("reference_audio", "vc_inputs", "outputs", "temp"))
    host = EngineHost(COUNTING, "tests.jobs.engines:CountingEngine", workers=workers)
    studio = Studio(
        Library(*folders),
        Engines("counting", engines={"counting": host}),
        Decoder(workers=1),
        capacity=8,
        timeout_s=30,
        max_text_chars=100_000,
        takes=Takes(ContentStore(data / "takes", 10**9)),
    )
    jobs = Jobs(
        Database(database_url(url, data)),
        studio,
        TaskFiles(data / "jobs"),
        Guard(allow_private=True),
        concurrency=concurrency,
        max_unfinished=20_000,
        keep_days=30,
    )
    try:
        yield jobs
    finally:
        jobs.close()
        studio.close()


def speech(number: int, passages: int, *, once: bool = False) -> NewTask:
    """A task whose output is `tNNNNN.wav`, and in which no passage is like another."""
    text = " ".join(f"Task {number} says line {line}." for line in range(1, passages + 1))
    key = hashlib.sha256(str(number).encode()).hexdigest() if once else None
    return NewTask(
        kind=Kind.TTS,
        spec={"seed": 7, "options": {"text": text, "export_formats": ["wav"], "normalize_numbers": False}},
        name=f"t{number:05}",
        idempotency=key,
        fingerprint=key,
    )


def main() -> None:
    office.BEAT_S = float(os.environ.get(BEAT_S, office.BEAT_S))
    office.DEAD_S = float(os.environ.get(DEAD_S, office.DEAD_S))
    office.QUIET_S = float(os.environ.get(QUIET_S, office.QUIET_S))
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(process)d %(name)s %(message)s")
    with house(Path(sys.argv[1]), *sys.argv[2:3]) as jobs:
        jobs.start()
        say("ready")
        for line in sys.stdin:
            command, *words = line.split()
            if command == "stop":
                break
            say(submitted(jobs, int(words[0]), int(words[1]), once="once" in words))


def submitted(jobs: Jobs, number: int, passages: int, *, once: bool) -> str:
    try:
        task, _ = jobs.submit(speech(number, passages, once=once))
    except PlusError as refused:
        return f"refused {number} {refused.code}"
    return f"kept {number} {task.id}"


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
