"""What every command that works in this process needs: the house opened, Ctrl-C heeded, talk on stderr."""

import argparse
import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any, TypeVar

from chatterbox_plus.audio.formats import INPUT_SUFFIXES
from chatterbox_plus.commands.flags import add_setting_flags, settings_from
from chatterbox_plus.errors import BadRequest, NotFound, PlusError
from chatterbox_plus.settings import CLIENT_KEY, PREFIX, Settings, load

if TYPE_CHECKING:
    from chatterbox_plus.synthesis.studio import Studio

T = TypeVar("T")
KEY_VARIABLE = PREFIX + CLIENT_KEY
_UNLIMITED: dict[str, int] = {"max_text_length": 10**9, "max_audio_s": 10**6}


def add_common_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print the result on stdout as one JSON object")
    parser.add_argument("--quiet", action="store_true", help="no progress and no remarks on stderr")
    add_setting_flags(parser)


def settings_of(args: argparse.Namespace) -> Settings:
    """The settings of a command that runs here; what is odd about them is said. Raises SettingsError."""
    settings, warnings = load(os.environ, settings_from(args))
    for warning in warnings:
        talk(args, f"warning: {warning}")
    # Whatever goes wrong is raised and said once, in a line; the log of how is for who asks for it.
    logging.basicConfig(level=logging.DEBUG if settings.server.log_level == "debug" else logging.CRITICAL)
    return settings


@contextmanager
def studio_of(settings: Settings) -> Iterator["Studio"]:
    """A studio in this process.

    The limits on text and recordings guard a server against strangers; whoever types a command works with what is
    theirs.
    """
    from chatterbox_plus.house import build_studio

    studio = build_studio(settings.model_copy(update={"api": settings.api.model_copy(update=_UNLIMITED)}))
    try:
        studio.furnish()
        yield studio
    finally:
        studio.close()


def interruptible(work: Callable[[Event], T]) -> T:
    """Run the work in a thread of its own, with an Event that Ctrl-C or SIGTERM sets; a second one ends at once.

    On Windows a signal waits until the main thread is in Python code, so it must not sit in a long call itself.
    Raises KeyboardInterrupt(signal) when the work was stopped by one, else whatever the work raises.
    """
    cancel = Event()
    caught: list[int] = []

    def stop(number: int, _: object) -> None:
        if caught:
            os._exit(128 + number)
        caught.append(number)
        cancel.set()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with ThreadPoolExecutor(1) as pool:
            future = pool.submit(work, cancel)
            while not future.done():
                wait([future], timeout=0.2)
        try:
            return future.result()
        except (PlusError, OSError):
            if caught:
                raise KeyboardInterrupt(caught[0]) from None
            raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def talk(args: argparse.Namespace, text: str) -> None:
    """A remark for the person at the terminal."""
    if not args.quiet:
        sys.stderr.write(text + "\n")


def show_notes(args: argparse.Namespace, notes: tuple[str, ...]) -> None:
    for note in notes:
        talk(args, f"note: {note}")


def print_lines(lines: Iterable[str]) -> None:
    for line in lines:
        sys.stdout.write(line + "\n")


def print_json(value: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")


@dataclass(frozen=True)
class Bar:
    """How far something is, shown or not. Called as `synthesis.progress.Progress` is; thread-safe."""

    advance: Callable[[float, float | None], None] = lambda done, total: None
    describe: Callable[[str], None] = lambda what: None
    """Says what is being done now."""

    def __call__(self, done: float, total: float | None) -> None:
        self.advance(done, total)


@contextmanager
def progress_bar(args: argparse.Namespace, what: str, unit: str) -> Iterator[Bar]:
    """A bar on stderr, if a person is there to see it. what: "Speaking". unit: of the numbers it is told, " s"."""
    if args.quiet or not sys.stderr.isatty():
        yield Bar()
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    described = TextColumn("{task.description}", markup=False)  # a chapter may be called [1]
    columns = described, BarColumn(), TextColumn("{task.fields[told]}"), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None, told="")

        def advance(done: float, total: float | None) -> None:
            told = f"{done:.0f}{unit}" if total is None else f"{done:.0f}/{total:.0f}{unit}"
            bar.update(task, completed=done, total=total, told=told)

        yield Bar(advance, lambda what: bar.update(task, description=what))


def read_file(path: Path) -> bytes:
    """All of a file of the user's. Raises NotFound and BadRequest, naming it."""
    try:
        return path.expanduser().read_bytes()
    except FileNotFoundError:
        raise NotFound(f"there is no file {path.name}") from None
    except OSError as error:
        raise BadRequest(f"cannot read {path.name}: {error.strerror}") from None


def local_audio(name: str) -> Path | None:
    """The file of that name on this machine, if there is one that its name says is audio; else a stored one is meant.

    Raises BadRequest for a path that can only be a local file (./x.wav, /x.wav, ~/x.wav) and is not there.
    """
    path = Path(name).expanduser()
    if path.suffix.lower() in INPUT_SUFFIXES and path.is_file():
        return path
    if name.startswith(("./", "../", ".\\", "..\\", "~")) or path.is_absolute():
        problem = "not an audio file" if path.is_file() else "there is no file"
        raise BadRequest(f"{problem}: {name}")
    return None


def shown_path(path: Path) -> str:
    """As a person at this terminal would type it: relative where it lies below the working directory."""
    cwd = Path.cwd()
    return str(path.relative_to(cwd)) if path.is_relative_to(cwd) else str(path)
