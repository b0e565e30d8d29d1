"""Segments of AAC to one audiobook file: chapters, tags, cover; nothing is encoded again."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import av
from av.stream import Disposition

from chatterbox_plus.audio.aac_segments import BIT_RATE, CODER_OPTIONS, FRAME_SAMPLES, packets
from chatterbox_plus.audio.formats import SPEECH_RATE
from chatterbox_plus.audio.tags import GENRE, cover_type, iso_639_2, plain

_MUXER_OPTIONS = {"brand": "M4B ", "fflags": "+bitexact"}  # no version, no date: the same book gives the same bytes
_LONGEST_TITLE_BYTES = 255  # in one of the two lists of chapters that are written; FFmpeg would cut inside a character
_MEDIA_TYPE = "2"  # "stik": Apple's players keep an audiobook's place
_PICTURE_CODECS = {"jpeg": "mjpeg", "png": "png"}


@dataclass(frozen=True)
class ChapterMark:
    """A chapter's name and its place in the book: samples from the start, a sum of its predecessors' segments."""

    title: str
    start: int
    end: int


def write_m4b(
    sink: BinaryIO,
    segments: Iterable[Path],
    chapters: Sequence[ChapterMark],
    *,
    rate: int = SPEECH_RATE,
    title: str,
    author: str,
    language: str | None = None,
    cover: bytes | None = None,
    comment: str | None = None,
) -> int:
    """Write an audiobook; how many samples it lasts: the sum of its segments.

    sink: an empty, writable and seekable binary file, which stays open; its OSErrors come through as they are.
    segments: files of a `SegmentWriter`, in order; several may make up a chapter. rate: Hz, that of all segments.
    chapters: in order and without overlap; players round them to a millisecond.
    language: a tag such as "pt-BR". cover: a JPEG or PNG picture. comment: free text.

    An hour takes about 0.4 s and, until it returns, 6 MB of memory: the table of its frames, which stands at the file's
    end. Raises InvalidOption for a picture of another kind, InvalidAudio for a damaged segment, OSError for one that
    cannot be read, ValueError for no sound at all, a rate AAC has not, chapters that overlap or end after the sound.
    """
    _check(chapters)
    out = _Sink(sink)
    container = av.open(out, "w", format="mp4", container_options=_MUXER_OPTIONS)
    container.metadata.update(_metadata(title, author, comment))
    # An encoder that encodes nothing: it only tells the muxer what segments are made of.
    audio = container.add_stream("aac", rate=rate, options=dict(CODER_OPTIONS))
    audio.codec_context.layout, audio.codec_context.bit_rate = av.AudioLayout("mono"), BIT_RATE
    audio.metadata["language"] = iso_639_2(language)
    time_base = Fraction(1, rate)
    audio.time_base = audio.codec_context.time_base = time_base
    container.set_chapters(
        [
            {"id": i, "start": c.start, "end": c.end, "time_base": time_base, "metadata": {"title": _short(c.title)}}
            for i, c in enumerate(chapters)
        ]
    )
    if cover is not None:
        _add_cover(container, cover)
    samples = 0
    for data in _frames(segments, rate):
        packet = av.Packet(data)
        packet.stream, packet.time_base, packet.is_keyframe = audio, time_base, True
        packet.pts = packet.dts = samples
        packet.duration = FRAME_SAMPLES
        container.mux_one(packet)
        samples += FRAME_SAMPLES
    if not samples:
        raise ValueError("a book without any sound")
    if chapters and chapters[-1].end > samples:
        raise ValueError(f"the last chapter ends at sample {chapters[-1].end}, the sound at {samples}")
    out.closed = False
    container.close()
    out.closed = True
    return samples


class _Sink:
    """The caller's file. "Closed" until the end: PyAV would write into it also when a broken book is dropped."""

    closed = True

    def __init__(self, file: BinaryIO) -> None:
        self.write, self.seek, self.tell = file.write, file.seek, file.tell


def _check(chapters: Sequence[ChapterMark]) -> None:
    last = 0
    for chapter in chapters:
        if not last <= chapter.start <= chapter.end:
            raise ValueError(f"a chapter from {chapter.start} to {chapter.end} after one that ends at {last}")
        last = chapter.end


def _metadata(title: str, author: str, comment: str | None) -> dict[str, str]:
    title, author = plain(title), plain(author)
    said = {"title": title, "album": title, "artist": author, "album_artist": author, "comment": plain(comment or "")}
    return {key: value for key, value in said.items() if value} | {"genre": GENRE, "media_type": _MEDIA_TYPE}


def _short(title: str) -> str:
    return plain(title).encode()[:_LONGEST_TITLE_BYTES].decode(errors="ignore")


def _add_cover(container: av.container.OutputContainer, cover: bytes) -> None:
    # Its size has to be given and is written nowhere: readers look into the picture.
    stream = container.add_mux_stream(_PICTURE_CODECS[cover_type(cover)], width=1, height=1)
    stream.disposition = Disposition.attached_pic
    container.start_encoding()
    packet = av.Packet(cover)
    packet.stream, packet.time_base = stream, Fraction(1, 1000)
    packet.pts = packet.dts = 0
    packet.is_keyframe = True
    container.mux_one(packet)


def _frames(segments: Iterable[Path], rate: int) -> Iterator[bytes]:
    for path in segments:
        with path.open("rb") as segment:
            yield from packets(segment, rate)
