"""What a book would become, for a person and for a pipe."""

import argparse
import sys
from typing import Any

from chatterbox_plus.commands.common import print_lines, talk


def show(args: argparse.Namespace, told: dict[str, Any]) -> None:
    """told: of `books.preview.preview`. Its table of chapters; with the passages themselves, the passages."""
    if "passage_texts" in told["chapters"][0]:
        _passages(told)
    elif sys.stdout.isatty():
        _table(told)
    else:
        print_lines("\t".join(_cells(chapter)) for chapter in told["chapters"])
    author = f" by {told['author']}" if told["author"] else ""
    total = f"{told['words']} words, {told['passages']} passages, about {clock(told['estimated_seconds'])}"
    talk(args, f"{told['title']}{author}: {total}")


def clock(seconds: float) -> str:
    """1:02:03, or 2:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _cells(chapter: dict[str, Any]) -> list[str]:
    return [
        str(chapter["index"] + 1),
        chapter["title"],
        str(chapter["words"]),
        str(chapter["passages"]),
        clock(chapter["estimated_seconds"]),
        ", ".join(chapter["voices"]),
    ]


def _passages(told: dict[str, Any]) -> None:
    """number of the chapter, tab, what is said: a line each."""
    print_lines(
        f"{chapter['index'] + 1}\t{' '.join(text.split())}"
        for chapter in told["chapters"]
        for text in chapter["passage_texts"]
    )


def _table(told: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("", "chapter", "words", "passages", "length", "voices"):
        table.add_column(name, justify="right" if name not in ("chapter", "voices") else "left")
    for chapter in told["chapters"]:
        table.add_row(*(Text(cell) for cell in _cells(chapter)))  # a title may be called [1]
    Console().print(table)
