"""Kills servers at random moments until all their tasks are done, and holds the outcome against an undisturbed run's.

`python -m tests.chaos.storm --kills 100 --jobs 500 --passages 8 [--database postgresql://…]` prints its figures as a
line of JSON, and says 1 if a promise was broken: every task that was safely kept succeeds, its audio is the undisturbed
run's to the bit, and of each task at most one passage is done again for every kill that it was running at.
"""

import argparse
import hashlib
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from sqlalchemy import inspect

from chatterbox_plus.jobs.database import Database, database_url
from tests.jobs.driving import Server, spoken, table
from tests.jobs.server import CONCURRENCY

PATIENCE_S = 120.0  # without any progress
EARLY, EARLY_S = 0.25, 2.0  # of the kills: so soon after a start, whatever has been done until then


@dataclass(frozen=True)
class Storm:
    """kills: how often; jobs: tasks, passages: in each. delay_s: per passage. seed: of when."""

    kills: int
    jobs: int
    passages: int
    delay_s: float = 0.02
    seed: int = 1


@dataclass
class Outcome:
    """What came of it. again: passages done more than once; running: tasks that were running, summed over all kills."""

    kills: int = 0
    jobs: int = 0
    succeeded: int = 0
    failed: int = 0
    same_audio: int = 0
    again: int = 0
    running: int = 0
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)

    def line(self) -> str:
        return json.dumps(asdict(self))


def storm(plan: Storm, folder: Path, url: str = "", *, calm: Mapping[str, str] | None = None) -> Outcome:
    """url: the storm's database, "" = SQLite in the folder. calm: of the undisturbed run; None: it is done first."""
    if calm is None:
        calm = undisturbed(plan, folder / "calm")
    outcome = Outcome(jobs=plan.jobs)
    began = time.monotonic()
    data = folder / "storm"
    kept: dict[int, str] = {}
    killed_at: Counter[str] = Counter()  # by task's name: kills while it was running
    luck = random.Random(plan.seed)
    while not _all_done(plan, data, url):
        server = Server(data, url, delay_s=plan.delay_s)
        _submit_rest(plan, server, kept)
        if outcome.kills < plan.kills:
            _await_a_moment(plan, outcome.kills, data, server, luck)
            server.kill()
            outcome.kills += 1
            _hear(server, kept)
            running = _running(data, url, server)
            killed_at.update(running)
            outcome.running += len(running)
            if len(running) > CONCURRENCY:
                outcome.problems.append(f"{len(running)} tasks were running at once")
        else:
            _await_the_end(plan, data, url, server, kept)
            server.stop()
    outcome.seconds = round(time.monotonic() - began, 1)
    _judge(plan, outcome, data, url, calm, kept, killed_at)
    return outcome


def undisturbed(plan: Storm, data: Path) -> dict[str, str]:
    """What the audio should be: name -> sha256."""
    server, kept = Server(data), dict[int, str]()
    _submit_rest(plan, server, kept)
    _await_the_end(plan, data, "", server, kept)
    server.stop()
    return hashes(data)


def hashes(data: Path) -> dict[str, str]:
    """Of every output, by its name."""
    found = (data / "outputs").glob("*.wav")
    return {path.stem: hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def left_behind(data: Path) -> list[str]:
    """Claims and half files of tasks. A claim that was killed before it had its name is the library's to sweep."""
    return [path.name for path in (data / "outputs").iterdir() if path.name.startswith(".t")]


def _submit_rest(plan: Storm, server: Server, kept: dict[int, str]) -> None:
    """Whatever no server has said yet that it keeps; its answers are read by `_hear`."""
    for number in range(plan.jobs):
        if number not in kept:
            server.tell(f"submit {number} {plan.passages} once")


def _hear(server: Server, kept: dict[int, str]) -> None:
    while not server.said.empty():
        word, *rest = (server.said.get() or "nothing").split()
        if word == "kept":
            kept[int(rest[0])] = rest[1]


def _await_a_moment(plan: Storm, killed: int, data: Path, server: Server, luck: random.Random) -> None:
    """Sometimes soon after the start, else after a share of the passages, so that there is work for every kill."""
    if luck.random() < EARLY:
        time.sleep(luck.uniform(0.2, EARLY_S))
        return
    have = len(set(spoken(data)))
    rest = plan.jobs * plan.passages - have
    share = rest / max(1, plan.kills - killed)
    deadline = time.monotonic() + PATIENCE_S
    wanted = len(spoken(data)) + luck.uniform(0, 1.6 * share)
    while len(spoken(data)) < wanted and time.monotonic() < deadline and not server.dead:
        time.sleep(0.01)
    time.sleep(luck.uniform(0, 2 * plan.delay_s))


def _await_the_end(plan: Storm, data: Path, url: str, server: Server, kept: dict[int, str]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    seen = -1
    while not _all_done(plan, data, url) and time.monotonic() < deadline and not server.dead:
        _hear(server, kept)
        if seen != (seen := len(spoken(data)) + len(kept)):
            deadline = time.monotonic() + PATIENCE_S
        time.sleep(0.2)
    _hear(server, kept)
    if not _all_done(plan, data, url):
        server.kill()
        raise AssertionError("nothing goes on any more:\n" + (data / "server.log").read_text()[-5000:])


def _running(data: Path, url: str, server: Server) -> list[str]:
    """What that server had in hand."""
    if not _any(data, url):
        return []
    with table(data, url) as now:
        pid = f"-{server.process.pid}-"
        return [row["name"] for row in now.rows() if row["status"] == "running" and pid in row["executor"]]


def _any(data: Path, url: str) -> bool:
    """Whether the first server came so far as to make tables."""
    if spoken(data):
        return True
    if not url and not (data / "jobs.sqlite").exists():
        return False
    database = Database(database_url(url, data))
    try:
        with database.reading() as connection:
            return inspect(connection).has_table("tasks")
    finally:
        database.close()


def _all_done(plan: Storm, data: Path, url: str) -> bool:
    if not _any(data, url):
        return False
    with table(data, url) as now:
        rows = now.rows()
    return len(rows) == plan.jobs and all(row["finished_at"] for row in rows)


def _judge(
    plan: Storm,
    outcome: Outcome,
    data: Path,
    url: str,
    calm: Mapping[str, str],
    kept: dict[int, str],
    killed_at: Counter[str],
) -> None:
    with table(data, url) as now:
        rows = now.rows()
    ids = {row["id"]: row for row in rows}
    outcome.succeeded = sum(row["status"] == "succeeded" for row in rows)
    outcome.failed = len(rows) - outcome.succeeded
    outcome.problems += [
        f"{row['name']} {row['status']}: {row['error']}" for row in rows if row["status"] != "succeeded"
    ]
    outcome.problems += [f"the task {id} was kept and is gone" for id in kept.values() if id not in ids]
    if outcome.kills < plan.kills:
        outcome.problems.append(f"all was done after {outcome.kills} kills")
    made = hashes(data)
    outcome.same_audio = sum(made.get(name) == digest for name, digest in calm.items())
    outcome.problems += [f"{name} sounds differently" for name in calm if made.get(name) != calm[name]]
    outcome.problems += [f"{name} is one too many" for name in made.keys() - calm.keys()]
    outcome.problems += [f"{name} was left behind" for name in left_behind(data)]
    again: Counter[str] = Counter()
    for text, times in Counter(spoken(data)).items():
        again[f"t{int(text.split()[1]):05}"] += times - 1
    outcome.again = again.total()
    for name, times in again.items():
        if times > killed_at[name]:
            outcome.problems.append(f"{name}: {times} passages again, but {killed_at[name]} kills while it was running")
    del outcome.problems[20:]


def main() -> int:
    parser = argparse.ArgumentParser("storm", description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=500)
    parser.add_argument("--passages", type=int, default=8)
    parser.add_argument("--delay", type=float, default=0.02, help="seconds a passage takes (default 0.02)")
    parser.add_argument("--seed", type=int, default=1, help="other seeds, other moments (default 1)")
    parser.add_argument("--database", default="", help="a PostgreSQL URL; its tables must be empty (default: SQLite)")
    args = parser.parse_args()
    plan = Storm(args.kills, args.jobs, args.passages, args.delay, args.seed)
    with tempfile.TemporaryDirectory(prefix="chatterbox-storm-", ignore_cleanup_errors=True) as folder:
        outcome = storm(plan, Path(folder), args.database)
    sys.stdout.write(outcome.line() + "\n")
    return 1 if outcome.problems else 0


if __name__ == "__main__":
    sys.exit(main())
