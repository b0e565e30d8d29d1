"""What is asked for of a book, as plain data: kept with its task, and the same for the API and the CLI."""

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from chatterbox_plus.synthesis.options import SpeechOptions

BookFormat = Literal["m4b", "mp3"]
Subtitles = Literal["srt", "vtt"]
UNUSED = (
    "trim", "use_auto_editor", "keep_original_wav_ae", "normalize_audio", "export_formats", "timestamps", "text",
)  # fmt: skip
"""Options of speech that mean nothing to a book: its levels and formats are its own."""


class ChapterText(BaseModel):
    """A chapter as it will be read."""

    model_config = ConfigDict(frozen=True)
    title: str = Field(max_length=500)
    text: str
    voice: str | None = Field(None, max_length=2048, description="Who reads it; default: who reads the book.")


class BookText(BaseModel):
    """A book, ready to be read. cover: JPEG or PNG in base64."""

    model_config = ConfigDict(frozen=True)
    title: str = Field(max_length=500)
    author: str = Field("", max_length=500)
    language: str | None = Field(None, max_length=35)
    cover: str | None = None
    chapters: tuple[ChapterText, ...] = Field(min_length=1)


@dataclass(frozen=True)
class BookOrder:
    """What is to be made of a book. options: of the speech; its text counts for nothing."""

    book: BookText
    options: SpeechOptions
    format: BookFormat = "m4b"
    subtitles: tuple[Subtitles, ...] = ("srt", "vtt")
