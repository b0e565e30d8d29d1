"""POST /api/v1/book: a book in, an audiobook out; and what it would become, before anything is spoken."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field, field_validator
from starlette.responses import Response

from chatterbox_plus.api.batch import read_json
from chatterbox_plus.api.conversion import is_form, is_json
from chatterbox_plus.api.errors import Reply, checked, now
from chatterbox_plus.api.forms import Form, read_form
from chatterbox_plus.api.lists import Flag
from chatterbox_plus.api.state import ApiState, State
from chatterbox_plus.api.submitting import LATER, IdempotencyKey, Priority, Submission, accepted, accepting
from chatterbox_plus.api.task_replies import BookAccepted, BookPreview
from chatterbox_plus.books.book import Book, Chapter
from chatterbox_plus.books.preview import preview
from chatterbox_plus.books.read import EXTENSIONS, read_book
from chatterbox_plus.errors import BadRequest, InvalidOption
from chatterbox_plus.jobs.book import spec_of_book
from chatterbox_plus.jobs.states import Kind, Lane
from chatterbox_plus.library.naming import safe_folder
from chatterbox_plus.synthesis.audiobook import check_order, passages_of
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

router = APIRouter(tags=["tasks"])


class BookChapter(BaseModel):
    """A chapter, where the book is sent as JSON."""

    title: str = Field("", max_length=500, description="As players show it.")
    text: str = Field(min_length=1, description="What is read, with [voice: name] and [pause: 800ms] where wanted.")
    voice: str | None = Field(None, max_length=2048, description="Who reads this chapter.")


class BookRequest(BaseModel):
    """A book to be read aloud: as chapters, as one text, or as a file."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "title": "Two Sentences",
                    "author": "Nobody",
                    "chapters": [
                        {"title": "One", "text": "The first. [pause: 1s] It was short."},
                        {"title": "Two", "text": "The second.", "voice": "speaker2.wav"},
                    ],
                    "options": {"reference_audio_filename": "narrator.wav"},
                }
            ]
        }
    )

    title: str | None = Field(None, max_length=500, description="Default: the file's own.")
    author: str | None = Field(None, max_length=500, description="Default: the file's own.")
    language: str | None = Field(None, max_length=35, description="Such as en or pt-br. Default: the file's own.")
    chapters: list[BookChapter] | None = Field(None, min_length=1, max_length=2000, description="The book itself.")
    text: str | None = Field(None, description="Or all of it in one, in Markdown: `#` begins a chapter.")
    voices: dict[str, str] = Field(
        default_factory=dict, description="Who reads which chapter: its number from 1, or its title → a voice."
    )
    skip: list[int] = Field(
        [], description="Chapters that are not read: their numbers from 1, as the preview has them."
    )
    format: BookFormat = Field("m4b", description="m4b: one file with chapter marks. mp3: a file for each chapter.")
    subtitles: list[Subtitles] = Field(["srt", "vtt"], description="Subtitle files beside the audio.")
    options: dict[str, Any] = Field(
        default_factory=dict, description="How it is read: fields of /api/v1/tts, such as reference_audio_filename."
    )
    project: str | None = Field(None, max_length=255, description="Sub-folder of outputs/ for the result.")
    webhook_url: str | None = Field(None, max_length=2048, description="Told when the book is there.")

    @field_validator("subtitles")
    @classmethod
    def _once(cls, value: list[Subtitles]) -> list[Subtitles]:
        return list(dict.fromkeys(value))


def _whole() -> dict[str, Any]:
    """The body with its chapters inside: what a route tells of its body by hand is not searched for models."""
    schema = BookRequest.model_json_schema()
    models = schema.pop("$defs")
    schema["properties"]["chapters"]["anyOf"][0]["items"] = models["BookChapter"]
    return schema


_BINARY = {"type": "string", "format": "binary"}
_OWN = {n: v for n, v in BookRequest.model_json_schema()["properties"].items() if n not in ("chapters", "text")}
_FORM: dict[str, Any] = {
    "type": "object",
    "required": ["file"],
    "properties": {
        "file": {**_BINARY, "description": f"The book: {' '.join('.' + e for e in EXTENSIONS)}."},
        "cover": {**_BINARY, "description": "A picture for the cover, JPEG or PNG, instead of the book's own."},
        **_OWN,
        "voices": {"type": "string", "description": "As in JSON, as text."},
        "options": {"type": "string", "description": "As in JSON, as text."},
        "skip": {"type": "string", "description": "Numbers of chapters that are not read, comma separated."},
        "subtitles": {"type": "string", "description": "Comma separated, or a JSON array; `none` for none."},
    },
}
_FORM_EXAMPLE = {"file": "# One\n\nHello there.", "author": "Nobody", "format": "mp3"}
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": _whole()},
            "multipart/form-data": {"schema": _FORM, "example": _FORM_EXAMPLE},
        },
    }
}
_ACCEPTED = accepting(BookAccepted, title="Two Sentences", chapters=2)
_PREVIEW_EXAMPLE = {
    "success": True,
    "title": "Two Sentences",
    "author": "Nobody",
    "language": None,
    "has_cover": False,
    "characters": 36,
    "words": 7,
    "passages": 3,
    "estimated_seconds": 3.4,
    "voices": [],
    "chapters": [
        {
            "index": 0,
            "title": "One",
            "characters": 25,
            "words": 5,
            "passages": 2,
            "voices": [],
            "estimated_seconds": 2.7,
        }
    ],
    "timestamp": "2025-06-22T14:30:22.000Z",
}
_PREVIEW: dict[int | str, dict[str, Any]] = {
    **LATER,
    200: {
        "model": BookPreview,
        "description": "How the book was taken apart.",
        "content": {"application/json": {"example": _PREVIEW_EXAMPLE}},
    },
}


@router.post("/api/v1/book", summary="Make an audiobook", status_code=202, responses=_ACCEPTED, openapi_extra=_BODY)
async def book(
    request: Request, state: State, priority: Priority = None, idempotency_key: IdempotencyKey = None
) -> Response:
    """EPUB, Markdown, text or DOCX to one m4b with chapters, or to an mp3 for each; with subtitles. What is wrong with
    marks and voices is said at once."""
    asked, found = await _read(request, state)
    submission = Submission(
        request,
        state,
        webhook_url=asked.webhook_url,
        priority=priority,
        lane=Lane.BATCH,
        idempotency_key=idempotency_key,
    )
    order = await state.bridge.call(_order, asked, found)
    safe_folder(order.options.subfolder)
    await state.bridge.call(check_order, state.studio, order)
    submitted = await submission.submit(Kind.BOOK, spec_of_book(order, BOOK_SEED), name=order.book.title[:200])
    return accepted(submitted, {"title": order.book.title, "chapters": len(order.book.chapters)})


@router.post("/api/v1/book/preview", summary="See how a book is read", responses=_PREVIEW, openapi_extra=_BODY)
async def book_preview(
    request: Request,
    state: State,
    passages: Annotated[Flag, Query(description="`true` tells the passages themselves, not only how many.")] = False,
) -> Response:
    """Chapters, passages and voices as they would be spoken, without a sound."""
    asked, found = await _read(request, state)

    def work() -> dict[str, Any]:
        order = _order(asked, found)
        check_order(state.studio, order)
        return preview(
            _read_ones(asked, found),
            chapter_split=lambda text, language: passages_of(state.studio, order, text),
            with_passages=passages,
        )

    return Reply({"success": True, **await state.bridge.call(work), "timestamp": now()})


async def _read(request: Request, state: ApiState) -> tuple[BookRequest, Book]:
    """What is asked for, and the book as it was sent."""
    if is_form(request):
        most = state.settings.api.max_upload_mb
        async with read_form(request, state.bridge, state.studio.library, most) as form:
            return await state.bridge.call(_from_form, form)
    if is_json(request):
        return await state.bridge.call(_from_json, await read_json(request))
    raise BadRequest("Send JSON (application/json), or a file (multipart/form-data)")


def _from_json(body: Mapping[str, Any]) -> tuple[BookRequest, Book]:
    asked = checked(BookRequest, body)
    if (asked.chapters is None) == (asked.text is None):
        raise InvalidOption("Send exactly one of `chapters` and `text`, or the book as a file", param="chapters")
    if asked.text is not None:
        found = read_book(asked.text.encode(), f"{asked.title or 'Untitled'}.md")
        return asked, _named(asked, found)
    chapters = tuple(
        Chapter(chapter.title or f"{number}", chapter.text) for number, chapter in enumerate(asked.chapters or (), 1)
    )
    return asked, _named(asked, Book(asked.title or "Untitled", None, None, None, chapters))


def _from_form(form: Form) -> tuple[BookRequest, Book]:
    files = form.files("file")
    if len(files) != 1:
        raise BadRequest("Send the book as one file, under the name `file`", param="file")
    values: dict[str, Any] = form.values(lists=("subtitles", "skip"))
    for name in ("options", "voices"):
        if name in values:
            try:
                values[name] = json.loads(values[name])
            except (ValueError, RecursionError):
                raise BadRequest(f"{name} must be a JSON object", param=name) from None
    if values.get("subtitles") == ["none"]:
        values["subtitles"] = []
    asked = checked(BookRequest, values)
    if asked.chapters or asked.text:
        raise BadRequest("Send the book as a file, or as JSON, not both", param="file")
    found = read_book(files[0].path.read_bytes(), files[0].name)
    if covers := form.files("cover"):
        found = told_otherwise(found, cover=covers[0].path.read_bytes())
    return asked, _named(asked, found)


def _named(asked: BookRequest, found: Book) -> Book:
    return told_otherwise(found, title=asked.title, author=asked.author, language=asked.language)


def _order(asked: BookRequest, found: Book) -> BookOrder:
    """Raises InvalidOption for options a book has not, and voices for chapters that are not there."""
    for name in asked.options:
        if name in UNUSED:
            raise InvalidOption(f"options.{name} means nothing to a book: its text, levels and format are its own")
    options = checked(SpeechOptions, {"text": "-", **asked.options, **_place(asked)})
    given = {n: chapter.voice for n, chapter in enumerate(asked.chapters or (), 1) if chapter.voice}
    order = order_for(
        found, options, voices=asked.voices, chapter_voices=given, format=asked.format, subtitles=asked.subtitles
    )
    kept = tuple(order.book.chapters[number - 1] for number in _kept(asked, found))
    return replace(order, book=order.book.model_copy(update={"chapters": kept}))


def _read_ones(asked: BookRequest, found: Book) -> Book:
    """The book without the chapters that are not read."""
    return replace(found, chapters=tuple(found.chapters[number - 1] for number in _kept(asked, found)))


def _kept(asked: BookRequest, found: Book) -> list[int]:
    """Numbers of the chapters that are read. Raises InvalidOption for one that is not there, and if none are left."""
    every = range(1, len(found.chapters) + 1)
    if wrong := [number for number in asked.skip if number not in every]:
        raise InvalidOption(f"skip: there is no chapter {wrong[0]}", param="skip")
    skipped = set(asked.skip)
    kept = [number for number in every if number not in skipped]
    if not kept:
        raise InvalidOption("skip: no chapter is left to be read", param="skip")
    return kept


def _place(asked: BookRequest) -> dict[str, Any]:
    return {} if asked.project is None else {"project": asked.project}
