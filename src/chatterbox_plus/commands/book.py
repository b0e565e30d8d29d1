"""`book`: a book in, an audiobook out; or what it would become, before anything is spoken."""

import argparse
import os
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any, get_args

from chatterbox_plus.commands import common, flags
from chatterbox_plus.settings import Settings, flag
from chatterbox_plus.synthesis.book_order import (
    BOOK_SEED,
    UNUSED,
    BookFormat,
    BookOrder,
    Subtitles,
    order_for,
    told_otherwise,
)
from chatterbox_plus.synthesis.options import SpeechOptions

if TYPE_CHECKING:
    from chatterbox_plus.books.book import Book
    from chatterbox_plus.commands.book_place import BookPlace
    from chatterbox_plus.commands.common import Bar
    from chatterbox_plus.synthesis.audiobook import BookProgress, BookResult
    from chatterbox_plus.synthesis.studio import Studio

_EPILOG = """\
examples:
  chatterbox-plus book novel.epub --preview
  chatterbox-plus book novel.epub --voice ./me.flac -o novel.m4b
  chatterbox-plus book novel.md --format mp3 --chapter-voice "3=speaker2" --subtitles none -o novel/

BOOK is .epub, .docx, .md or .txt. In its text, [voice: name]...[/voice] and [pause: 800ms] mean what they say; a voice
named there is a stored or a stock one. Voices named here may be audio files, too.

Stopped by Ctrl-C or by anything else, the same command goes on: passages that were spoken are not spoken again. A book
sounds the same each time; --seed N asks for another reading.
"""
_ELSEWHERE = (*UNUSED, "folder", "webhook_url", "language", "reuse_takes")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = _EPILOG
    parser.usage = "%(prog)s [options] BOOK"
    parser.add_argument("book", metavar="BOOK", help="the book's file")
    parser.add_argument(
        "-o", "--output", metavar="FILE",
        help="the .m4b to write, or for mp3 a folder (default: kept in the data folder, like the server's)",
    )  # fmt: skip
    parser.add_argument(
        "--format",
        choices=get_args(BookFormat),
        default="m4b",
        help="m4b: one file with chapter marks; mp3: a file for each chapter (default: m4b)",
    )
    parser.add_argument(
        "--chapter-voice", action="append", default=[], metavar="CHAPTER=VOICE",
        help="who reads a chapter: its number from 1, or its title; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--subtitles", default=",".join(get_args(Subtitles)), metavar="A,B",
        help="subtitle files beside the audio: srt, vtt, or none (default: srt,vtt)",
    )  # fmt: skip
    about = parser.add_argument_group("about the book (default: as its file says)")
    about.add_argument("--title", metavar="TEXT")
    about.add_argument("--author", metavar="TEXT")
    about.add_argument("--language", metavar="XX", help="such as en or pt-br; what is read in it, too")
    about.add_argument("--cover", metavar="FILE", help="a JPEG or PNG picture")
    parser.add_argument("--preview", action="store_true", help="show chapters, passages and voices; speak nothing")
    parser.add_argument("--passages", action="store_true", help="with --preview: what is said in one go each")
    parser.add_argument("--force", action="store_true", help="overwrite files that exist")
    flags.add_option_flags(
        parser,
        SpeechOptions,
        skip=_ELSEWHERE,
        synonyms={"reference_audio_filename": ("-v", "--voice"), "speed_factor": ("-s", "--speed")},
    )
    common.add_common_flags(parser)
    parser.set_defaults(parser=parser)


def run(args: argparse.Namespace) -> int:
    """Raises InvalidBook, what `order_for` and `check_order` raise, and what `Studio.speak` raises."""
    options = flags.options_from(args, args.parser, SpeechOptions, text="-")
    subtitles = _subtitles(args)
    if args.passages and not args.preview:
        args.parser.error("--passages goes with --preview")
    if args.output is not None and "project" in options.model_fields_set:
        args.parser.error(f"{flag('project')} is for results in the data folder: leave out -o")
    place = _place(args, subtitles)
    readers = dict(_reader(args, item) for item in args.chapter_voice)
    settings = common.settings_of(args)
    book = _book(args)
    order = order_for(
        book, options, voices=readers, chapter_voices={}, format=args.format, subtitles=subtitles
    )  # fmt: skip
    named = {options.reference_audio_filename or "", *readers.values()}
    given = {name: path for name in named if (path := common.local_audio(name))}
    if args.preview:
        _preview(args, settings, book, order, given)
    else:
        _make(args, settings, order, given, place)
    return 0


def _make(
    args: argparse.Namespace,
    settings: Settings,
    order: BookOrder,
    given: dict[str, Path],
    place: "BookPlace | None",
) -> None:
    from chatterbox_plus.commands.readers import with_readers

    def work(cancel: Event) -> dict[str, Any]:
        with common.studio_of(settings) as house, common.progress_bar(args, "Reading", " passages") as bar:
            studio = with_readers(house, given)
            if place is None:
                made = _made(studio, order, _progress(order, bar), cancel)
                root = studio.library.outputs.root
                return _report(order, made, [root / file.path for file in (*made.files, *made.subtitles)])
            with place.workshop(studio) as beside:
                root = beside.library.outputs.root
                made = _made(beside, order, _progress(order, bar, root), cancel)
                paths = place.put([root / file.path for file in (*made.files, *made.subtitles)])
            return _report(order, made, paths)

    try:
        told = common.interruptible(work)
    except KeyboardInterrupt:
        common.talk(args, "Stopped: what was spoken is kept, and the same command goes on from here.")
        raise
    if args.json:
        common.print_json(told)
    else:
        common.print_lines(file["path"] for file in (*told["files"], *told["subtitles"]))


def _made(studio: "Studio", order: BookOrder, progress: "BookProgress", cancel: Event) -> "BookResult":
    from chatterbox_plus.commands.readers import order_digest
    from chatterbox_plus.synthesis.audiobook import Audiobook
    from chatterbox_plus.synthesis.commission import Commission

    commission = Commission(f"book_{order_digest(studio, order)}", datetime.now().astimezone(), BOOK_SEED)
    return Audiobook(studio, order, cancel=cancel, commission=commission, progress=progress).make()


def _progress(order: BookOrder, bar: "Bar", in_use: Path | None = None) -> "BookProgress":
    """in_use: a folder that is not written to for hours and must not seem abandoned (`leftovers.sweep`)."""
    from chatterbox_plus.synthesis.audiobook import BookProgress

    titles = [chapter.title for chapter in order.book.chapters]
    left = set(range(len(titles)))

    def tell(done: int, total: int, seconds: float) -> None:
        bar(done, total)
        if in_use is not None:
            with suppress(OSError):
                os.utime(in_use)

    def chapter(index: int) -> None:
        left.discard(index)
        if left:
            bar.describe(_short(titles[min(left)]))

    bar.describe(_short(titles[0]))
    return BookProgress(tell=tell, chapter=chapter)


def _report(order: BookOrder, made: "BookResult", paths: Sequence[Path]) -> dict[str, Any]:
    files = [
        {"format": file.format, "path": common.shown_path(path.absolute()), "size_bytes": file.size_bytes}
        for file, path in zip((*made.files, *made.subtitles), paths, strict=True)
    ]
    return {
        "success": True,
        "title": order.book.title,
        "files": files[: len(made.files)],
        "subtitles": files[len(made.files) :],
        "chapters": list(made.chapters),
        "duration_s": round(made.duration_s, 3),
        "processing_s": round(made.processing_s, 3),
        "passages": made.passages,
        "models": list(made.models),
        "seed": order.options.seed or BOOK_SEED,
    }


def _preview(
    args: argparse.Namespace, settings: Settings, book: "Book", order: BookOrder, given: dict[str, Path]
) -> None:
    from chatterbox_plus.books.preview import preview
    from chatterbox_plus.commands.book_preview import show
    from chatterbox_plus.commands.readers import with_readers
    from chatterbox_plus.synthesis.audiobook import check_order, passages_of

    with common.studio_of(settings) as house:
        studio = with_readers(house, given)
        check_order(studio, order)
        told = preview(
            book,
            chapter_split=lambda text, language: passages_of(studio, order, text),
            with_passages=args.passages,
        )
    for chapter, text in zip(told["chapters"], order.book.chapters, strict=True):
        reader = text.voice or order.options.reference_audio_filename
        chapter["voices"] = list(dict.fromkeys(filter(None, (reader, *chapter["voices"]))))
    if args.json:
        common.print_json({"success": True, **told})
    else:
        show(args, told)


def _book(args: argparse.Namespace) -> "Book":
    from chatterbox_plus.books.read import read_book

    path = Path(args.book)
    book = read_book(common.read_file(path), path.name)
    cover = None if args.cover is None else common.read_file(Path(args.cover))
    return told_otherwise(book, title=args.title, author=args.author, language=args.language, cover=cover)


def _place(args: argparse.Namespace, subtitles: tuple[Subtitles, ...]) -> "BookPlace | None":
    """Wrong usage ends the program. Raises what `BookPlace.check` raises."""
    from chatterbox_plus.commands.book_place import BookPlace

    if args.output is None:
        return None
    path = Path(args.output).expanduser()
    if (path.suffix.lower() == ".m4b") != (args.format == "m4b"):
        wanted = "a file that ends with .m4b" if args.format == "m4b" else "a folder"
        args.parser.error(f"-o {args.output}: for --format {args.format} name {wanted}")
    place = BookPlace(path, args.format, subtitles, args.force)
    if not args.preview:
        place.check()
    return place


def _subtitles(args: argparse.Namespace) -> tuple[Subtitles, ...]:
    names = [name.strip().lower() for name in args.subtitles.split(",") if name.strip()]
    known: dict[str, Subtitles] = {name: name for name in get_args(Subtitles)}
    if names == ["none"]:
        return ()
    if not names or not set(names) <= known.keys():
        args.parser.error(f"--subtitles: should be of {', '.join(known)}, or none")
    return tuple(known[name] for name in dict.fromkeys(names))


def _reader(args: argparse.Namespace, item: str) -> tuple[str, str]:
    chapter, _, voice = item.partition("=")
    if not chapter.strip() or not voice.strip():
        args.parser.error(f"--chapter-voice {item}: should be CHAPTER=VOICE")
    return chapter.strip(), voice.strip()


def _short(title: str) -> str:
    return title if len(title) <= 40 else title[:39] + "…"
