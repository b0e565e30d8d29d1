"""A chapter as an mp3 file that says what it is."""

from collections.abc import Iterable
from typing import BinaryIO, cast

from chatterbox_plus.audio.clip import Samples
from chatterbox_plus.audio.encode import Encoder
from chatterbox_plus.audio.stage import closing_after
from chatterbox_plus.audio.tags import id3

MP3_BIT_RATE = 96_000  # bit/s; for mono at 24 kHz as good as what m4b gets, and half of what music gets


def write_tagged_mp3(
    sink: BinaryIO,
    blocks: Iterable[Samples],
    *,
    rate: int,
    title: str,
    album: str,
    author: str,
    track: int,
    tracks: int,
    language: str | None = None,
    cover: bytes | None = None,
    bit_rate: int = MP3_BIT_RATE,
) -> None:
    """Write a chapter in constant memory. Players that read LAME's header play exactly the samples there were.

    sink: an empty, writable and seekable binary file, which stays open; its OSErrors come through as they are.
    blocks: mono samples (n,) at `rate` Hz; a generator is closed at the end. title: the chapter's; album: the book's.
    track: 1 for the first of `tracks`. bit_rate: bit/s, see `Encoder`.

    Raises InvalidOption for a cover that is no JPEG or PNG, ValueError for NaN, and what the blocks raise.
    """
    with closing_after(blocks):
        tag = id3(title=title, album=album, artist=author, track=track, tracks=tracks, language=language, cover=cover)
        sink.write(tag)
        encoder = Encoder("mp3", rate=rate, sink=cast(BinaryIO, _AfterTag(sink)), bit_rate=bit_rate)
        for block in blocks:
            encoder.push(block)
        encoder.finish()


class _AfterTag:
    """The rest of the caller's file, as a file: positions count from here. FFmpeg begins with a tag of its own, which
    says nothing; it is left out, as not all players expect a second one."""

    def __init__(self, sink: BinaryIO) -> None:
        self._sink, self._start = sink, sink.tell()
        self._at = self._left_out = 0  # bytes

    def seekable(self) -> bool:
        return self._sink.seekable()

    def tell(self) -> int:
        return self._at

    def write(self, data: bytes) -> int:
        if self._at == 0 and data[:3] == b"ID3":
            self._left_out = 10 + sum(
                (byte & 0x7F) << shift for byte, shift in zip(data[6:10], (21, 14, 7, 0), strict=True)
            )
        self._sink.write(data[max(0, self._left_out - self._at) :])
        self._at += len(data)
        return len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        if whence == 0:
            self._at = offset
            self._sink.seek(self._start + max(0, offset - self._left_out))
        else:
            self._at = self._sink.seek(offset, whence) - self._start + self._left_out
        return self._at
