"""`jobs`: the tasks of a running server, over HTTP like any client."""

import argparse
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from chatterbox_plus.commands import common
from chatterbox_plus.jobs.states import Kind, Status

if TYPE_CHECKING:
    from chatterbox_plus.commands.server import Server, TaskEvent

_EPILOG = """\
examples:
  chatterbox-plus jobs list --status running
  chatterbox-plus jobs watch task_5f0c2a9b4d1e7788aabbccdd
  chatterbox-plus jobs retry task_5f0c2a9b4d1e7788aabbccdd --server https://speech.example

A server that asks for keys gets the one in CHATTERBOX_API_KEY, or --key (which other users of this machine can see).
watch ends with status 0 when the task has succeeded and 1 when it has not; Ctrl-C stops watching, not the task.
"""
_ACTIONS = {
    "cancel": "call a task off; what is spoken is kept for another try",
    "pause": "keep a task from going on",
    "resume": "go on with a paused task",
    "retry": "try again what failed or was called off",
}
_MAX_LISTED = 10_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = _EPILOG
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="the tasks there are, newest first", allow_abbrev=False)
    listing.add_argument("--status", choices=[status.value for status in Status], help="only tasks that stand so")
    listing.add_argument("--kind", choices=[kind.value for kind in Kind], help="only tasks that do this")
    listing.add_argument("--limit", type=_limit, default=50, metavar="N", help="at most so many (default: 50)")
    one = {"show": "how a task stands", **_ACTIONS, "watch": "follow a task until it has ended"}
    for name, help in one.items():
        action = actions.add_parser(name, help=help, allow_abbrev=False)
        action.add_argument("id", metavar="ID", help="the task's, as the server named it")
    for action in actions.choices.values():
        action.add_argument("--server", metavar="URL", help="default: http://127.0.0.1 with the port of the settings")
        action.add_argument("--key", metavar="KEY", help="an API key (default: CHATTERBOX_API_KEY)")
        common.add_common_flags(action)


def run(args: argparse.Namespace) -> int:
    """Raises NoServer, Refused."""
    from chatterbox_plus.commands.server import Server

    settings = common.settings_of(args)
    key = args.key or os.environ.get(common.KEY_VARIABLE, "").strip() or None
    with Server(args.server or f"http://127.0.0.1:{settings.server.port}", key) as server:
        return _DOES[args.action](args, server)


def _list(args: argparse.Namespace, server: "Server") -> int:
    tasks, total = server.tasks(args.limit, status=args.status, kind=args.kind)
    if args.json:
        common.print_json({"success": True, "tasks": tasks, "total": total})
        return 0
    rows = [_cells(task) for task in tasks]
    if not sys.stdout.isatty():
        common.print_lines("\t".join(row) for row in rows)
        return 0
    if not rows:
        common.talk(args, "There are no such tasks.")
        return 0
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("id", "kind", "status", "progress", "name", "made"):
        table.add_column(column, overflow="fold", no_wrap=column != "name")
    for row in rows:
        table.add_row(*map(Text, row))  # a name may be called [1]
    Console().print(table)
    if total > len(rows):
        common.talk(args, f"{total - len(rows)} older ones: --limit shows more")
    return 0


def _show(args: argparse.Namespace, server: "Server") -> int:
    task = server.task(args.id)
    if args.json:
        common.print_json(task)
        return 0
    told = {
        "id": task["task_id"],
        "kind": task["kind"],
        "name": task["name"],
        "status": task["status"],
        "progress": _progress(task),
        "left": f"about {task['estimated_seconds_left']:.0f} s" if task["estimated_seconds_left"] else None,
        "error": task["error"],
        **{f"{word} at": task[f"{word}_at"] for word in ("created", "started", "finished")},
        "attempt": task["attempt"],
        "files": " ".join(_files(task, server)),
    }
    common.print_lines(f"{name}\t{value}" for name, value in told.items() if value)
    return 0


def _change(args: argparse.Namespace, server: "Server") -> int:
    task = server.change(args.id, args.action)
    if args.json:
        common.print_json(task)
    else:
        common.talk(args, f"{task['task_id']} is {task['status']}")
    return 0


def _watch(args: argparse.Namespace, server: "Server") -> int:
    task = server.task(args.id)
    if not task["finished_at"]:
        unit = task["progress"]["unit"]
        with common.progress_bar(args, _title(task), f" {unit}") as bar:
            done = _Follower(task, bar)
            for event in server.watch(args.id):
                done(event)
        task = server.task(args.id)
    succeeded = task["status"] == Status.SUCCEEDED
    if not succeeded:
        sys.stderr.write(f"chatterbox-plus: {task['task_id']} {task['status']}: {task['error'] or 'no reason given'}\n")
    if args.json:
        common.print_json(task)
    else:
        common.print_lines(_files(task, server))
    return 0 if succeeded else 1


class _Follower:
    """Events to a bar. Whatever a newer server says that is not known here changes nothing."""

    def __init__(self, task: dict[str, Any], bar: common.Bar) -> None:
        self._bar, self._what = bar, _title(task)
        self._done, self._total = task["progress"]["done"], task["progress"]["total"]
        self._rows: dict[object, object] = {}  # of a batch: how each that has ended did
        bar(self._done, self._total)

    def __call__(self, event: "TaskEvent") -> None:
        data = event.data
        if event.kind == "passage":
            self._at(data.get("passage"), data.get("passages"))
        elif event.kind == "progress":
            self._at(data.get("done"), data.get("total"))
        elif event.kind == "row":
            self._rows[data.get("row")] = data.get("status")
            self._at(len(self._rows), self._total)
        elif event.kind == "resumed":
            self._rows = {row: status for row, status in self._rows.items() if status == Status.SUCCEEDED}
        if event.kind == "chapter":
            self._bar.describe(f"{self._what}: {data.get('title', '')}")
        elif event.kind in ("waiting", "paused"):
            self._bar.describe(f"{self._what}: {event.kind}")
        elif event.kind in ("started", "resumed"):
            self._bar.describe(self._what)

    def _at(self, done: object, total: object) -> None:
        if isinstance(done, int | float):
            self._done = done
        if isinstance(total, int | float):
            self._total = total
        self._bar(self._done, self._total)


def _cells(task: dict[str, Any]) -> list[str]:
    made = task["created_at"][:16].replace("T", " ")
    return [task["task_id"], task["kind"], task["status"], _progress(task), task["name"] or "", made]


def _progress(task: dict[str, Any]) -> str:
    progress = task["progress"]
    total = "" if progress["total"] is None else f"/{progress['total']}"
    return f"{progress['done']}{total} {progress['unit']}"


def _title(task: dict[str, Any]) -> str:
    return str(task["name"] or task["kind"])


def _files(task: dict[str, Any], server: "Server") -> list[str]:
    """Where the results can be fetched."""
    return [file["url"] if "://" in file["url"] else server.url + file["url"] for file in task["output_files"]]


def _limit(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text[:6]) <= _MAX_LISTED:
        raise argparse.ArgumentTypeError(f"must be a number from 1 to {_MAX_LISTED}")
    return int(text)


_DOES: dict[str, Callable[[argparse.Namespace, "Server"], int]] = {
    "list": _list,
    "show": _show,
    "watch": _watch,
    **dict.fromkeys(_ACTIONS, _change),
}
