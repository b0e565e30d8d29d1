"""A book as a task: what is kept of it, and how it is made."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from chatterbox_plus.jobs.states import EventType
from chatterbox_plus.jobs.work import OPTIONS, commission_of
from chatterbox_plus.jobs.worker import Hand
from chatterbox_plus.synthesis.audiobook import Audiobook, BookProgress
from chatterbox_plus.synthesis.book_order import BookOrder, BookText
from chatterbox_plus.synthesis.options import SpeechOptions
from chatterbox_plus.synthesis.studio import Studio

BOOK = "book"  # in a spec: the text itself, so that any server can go on with it
_UNSAID = "-"  # in place of a text, which the options cannot be without


def spec_of_book(order: BookOrder, seed: int) -> dict[str, Any]:
    """JSON-ready."""
    return {
        BOOK: order.book.model_dump(mode="json"),
        OPTIONS: order.options.model_dump(mode="json", exclude_unset=True, exclude={"text", "webhook_url"}),
        "format": order.format,
        "subtitles": list(order.subtitles),
        "seed": seed,
    }


def order_of(spec: Mapping[str, Any]) -> BookOrder:
    """What `spec_of_book` kept."""
    return BookOrder(
        BookText.model_validate(spec[BOOK]),
        SpeechOptions.model_validate({"text": _UNSAID, **spec[OPTIONS]}),
        spec["format"],
        tuple(spec["subtitles"]),
    )


def make_book(studio: Studio, hand: Hand) -> Mapping[str, Any]:
    """See `worker.Work`."""
    task = hand.task
    order = order_of(task.spec)
    titles = [chapter.title for chapter in order.book.chapters]
    progress = BookProgress()
    last = -1

    def tell(done: int, total: int, seconds: float) -> None:
        nonlocal last
        event = None
        if done > last:
            last = done
            event = (EventType.PASSAGE, {"passage": done, "passages": total, "audio_seconds": round(seconds, 3)})
        hand.note(done, total, seconds, event)

    def chapter(index: int) -> None:
        told = {"chapter": index + 1, "chapters": len(titles), "title": titles[index]}
        hand.reporting.tell(task.id, EventType.CHAPTER, told)

    progress.tell, progress.chapter = tell, chapter
    made = Audiobook(
        studio, order, cancel=hand.cancel, commission=replace(commission_of(task), name=None), progress=progress
    ).make()
    files = [file.link() for file in made.files]
    return {
        "output_files": files,
        "output_url": files[0]["url"],
        "subtitle_files": [file.link() for file in made.subtitles],
        "chapters": list(made.chapters),
        "total_duration_seconds": round(made.duration_s, 3),
        "processing_time_seconds": round(made.processing_s, 3),
        "passages": made.passages,
        "models": list(made.models),
        "generation_seed_used": task.spec["seed"],
    }
