"""Who reads a book that is made here: stored and stock voices, and recordings named on the command line."""

import copy
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from chatterbox_plus.commands.batch_manifest import file_digest, value_digest
from chatterbox_plus.library.records import Voice
from chatterbox_plus.synthesis.book_order import BookOrder
from chatterbox_plus.synthesis.voices import Speaker, Voices
from chatterbox_plus.text.markup import parse, voices

if TYPE_CHECKING:
    from chatterbox_plus.synthesis.studio import Studio


class Readers(Voices):
    """The voices of a studio, and some more. Thread-safe."""

    def __init__(self, studio: "Studio", given: Mapping[str, Path]) -> None:
        """given: recordings by the names they have on the command line: no book can name any other file of this
        machine."""
        super().__init__(studio.library, studio.decoder)
        self._given = given

    def stored(self, name: str | None) -> Speaker | None:
        """See `Voices.stored`."""
        path = self._given.get((name or "").strip())
        if path is None:
            return super().stored(name)
        return Speaker(path.name, recording=Voice.of(path, path.name, {}))


def with_readers(studio: "Studio", given: Mapping[str, Path]) -> "Studio":
    """The same studio, with these readers."""
    view = copy.copy(studio)
    view.voices = Readers(studio, given)
    return view


def order_digest(studio: "Studio", order: BookOrder) -> str:
    """32 hex digits of all that is asked for, the content of recordings included. Raises as `Voices.stored` does."""
    book = order.book
    told = {
        "book": book.model_dump(mode="json"),
        "options": order.options.model_dump(mode="json", exclude_unset=True, exclude={"text"}),
        "format": order.format,
        "subtitles": list(order.subtitles),
        "recordings": {name: _recording(studio.voices, name) for name in sorted(_named(order))},
    }
    return value_digest(told)


def _named(order: BookOrder) -> set[str]:
    chapters = order.book.chapters
    named: Iterable[str | None] = (
        order.options.reference_audio_filename,
        *(chapter.voice for chapter in chapters),
        *(voice for chapter in chapters for voice in voices(parse(chapter.text))),
    )
    return {name for name in named if name}


def _recording(known: Voices, name: str) -> str | None:
    speaker = known.stored(name)
    recording = speaker.recording if speaker else None
    return file_digest(recording.path) if recording else None
