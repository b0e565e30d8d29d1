"""Broken audio files without end: ours, in all containers, damaged as disks, networks and attackers damage them.

The same seed gives the same files.
"""

import random
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from chatterbox_plus.audio.formats import INPUT_SUFFIXES
from tests.audio.recordings import CONTAINERS, record, record_video, sine

_EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
# Where containers keep what decoders believe: sizes, counts, rates, times. What follows a name is fair game.
_FIELDS = (
    *(b"RIFF", b"fmt ", b"data", b"fact", b"LIST"),
    *(b"fLaC", b"OggS", b"OpusHead", b"OpusTags", b"\x7fFLAC"),
    *(b"ID3", b"Xing", b"Info", b"LAME"),
    *(b"ftyp", b"moov", b"mvhd", b"trak", b"tkhd", b"edts", b"elst", b"mdia", b"mdhd", b"hdlr", b"minf", b"stbl"),
    *(b"stsd", b"mp4a", b"esds", b"alac", b"stts", b"stsc", b"stsz", b"stco", b"sgpd", b"sbgp", b"udta", b"mdat"),
    *(b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67", b"\x15\x49\xa9\x66", b"\x16\x54\xae\x6b", b"\x1f\x43\xb6\x75", b"\xe1"),
    *(b"\x2a\xd7\xb1", b"\x44\x89", b"\xb5", b"\x63\xa2", b"\x56\xaa", b"\x56\xbb"),  # of Matroska
    *(b"\xff\xf1", b"\xff\xfb", b"\xff\xf3"),
)


@dataclass(frozen=True)
class Broken:
    """A file as it is sent. how: what was done to it."""

    name: str
    how: str
    content: bytes


@dataclass(frozen=True)
class Seed:
    """A file that is whole."""

    suffix: str
    content: bytes


def seeds(folder: Path) -> list[Seed]:
    """Two seconds of sound or less, in every container and the codecs that people put there."""
    found: list[Path] = []

    def whole(name: str, seconds: float, channels: int = 1, rate: int | None = None, codec: str | None = None) -> None:
        path = folder / f"{len(found)}{name}"
        rate = rate or CONTAINERS[path.suffix][3]
        sound = sine(220, seconds, rate) * np.linspace(0.2, 1, round(seconds * rate), dtype=np.float32)
        rows = np.stack([sound * (channel + 1) / channels for channel in range(channels)])
        found.append(record(path, rows, rate=rate, codec=codec))

    for suffix in INPUT_SUFFIXES:
        whole(suffix, 0.3)
        whole(suffix, 2, channels=2)
    whole(".wav", 0.5, codec="pcm_f32le")
    whole(".wav", 0.5, channels=6)
    whole(".ogg", 0.5, rate=44_100, codec="flac")
    whole(".m4a", 0.5, codec="alac")
    whole(".mp3", 0.5, rate=48_000)
    whole(".aac", 0.5, rate=8000)
    for suffix in (".mp4", ".webm"):
        found.append(record_video(folder / f"film{suffix}", audio=sine(220, 0.5, 48_000)))
    return [Seed(path.suffix, path.read_bytes()) for path in found]


def broken_files(count: int, seed: int, whole: list[Seed]) -> Iterator[Broken]:
    """So many, every container and every kind of damage as often as any other."""
    kinds = list(_MUTATIONS.items())
    by_suffix = {suffix: [one for one in whole if one.suffix == suffix] for suffix in INPUT_SUFFIXES}
    for number in range(count):
        rng = random.Random(f"{seed} {number}")
        suffix = INPUT_SUFFIXES[number % len(INPUT_SUFFIXES)]
        how, mutate = kinds[number // len(INPUT_SUFFIXES) % len(kinds)]
        content = mutate(rng, rng.choice(by_suffix[suffix]).content, rng.choice(whole).content)
        if rng.random() < 0.1:  # two kinds at once
            again, mutate = rng.choice(kinds)
            how, content = f"{how}, {again}", mutate(rng, content, rng.choice(whole).content)
        name = rng.choice(INPUT_SUFFIXES) if how.startswith("wrong extension") else suffix
        yield Broken(f"{number:05d}{name}", how, content)


def _flip_bits(rng: random.Random, content: bytes, other: bytes) -> bytes:
    data = bytearray(content)
    for _ in range(rng.choice((1, 4, 32, max(1, len(data) // 100)))):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(data)


def _flip_in_head(rng: random.Random, content: bytes, other: bytes) -> bytes:
    head = min(len(content), rng.choice((64, 256, 1024)))
    return _flip_bits(rng, content[:head], other) + content[head:]


def _truncate(rng: random.Random, content: bytes, other: bytes) -> bytes:
    return content[: rng.choice((rng.randrange(1, 200), rng.randrange(1, len(content) + 1)))]


def _cut_out(rng: random.Random, content: bytes, other: bytes) -> bytes:
    begin, end = sorted(rng.randrange(len(content) + 1) for _ in range(2))
    return content[:begin] + content[end:] or b"\0"


def _repeat(rng: random.Random, content: bytes, other: bytes) -> bytes:
    begin = rng.randrange(len(content))
    chunk = content[begin : begin + rng.choice((1, 64, 4096, len(content)))]
    return content[:begin] + chunk * rng.choice((2, 10, 100 if len(chunk) < 5000 else 3)) + content[begin:]


def _swap(rng: random.Random, content: bytes, other: bytes) -> bytes:
    a, b, c = sorted(rng.randrange(len(content) + 1) for _ in range(3))
    return content[:a] + content[b:c] + content[a:b] + content[c:]


def _extreme_field(rng: random.Random, content: bytes, other: bytes) -> bytes:
    """Numbers behind (or, where sizes come first, before) the names of fields become the largest, smallest, oddest."""
    data = bytearray(content)
    places = [at for name in _FIELDS if (at := data.find(name)) >= 0] or [0]
    for _ in range(rng.choice((1, 1, 2, 5))):
        at = max(0, rng.choice(places) + rng.choice((-8, -4, 2, 3, 4, 6, 8, 10, 12, 16, 20, 24, 28, 32, 40)))
        size = rng.choice((1, 2, 4, 4, 8))
        value = rng.choice((*_EXTREMES, rng.getrandbits(32))) & ((1 << 8 * size) - 1)
        if rng.random() < 0.2:
            value = (1 << 8 * size) - 1
        data[at : at + size] = value.to_bytes(size, rng.choice(("little", "big")))
    return bytes(data)


def _extreme_page(rng: random.Random, content: bytes, other: bytes) -> bytes:
    """A field as above, and the checksums of Ogg pages made good again: what has a wrong one is never looked at."""
    return _with_checksums(_extreme_field(rng, content, other))


def _splice(rng: random.Random, content: bytes, other: bytes) -> bytes:
    return content[: rng.randrange(1, len(content) + 1)] + other[rng.randrange(len(other)) :]


def _insert(rng: random.Random, content: bytes, other: bytes) -> bytes:
    at = rng.randrange(len(content) + 1)
    return content[:at] + other + content[at:]


def _zeros(rng: random.Random, content: bytes, other: bytes) -> bytes:
    begin = rng.randrange(len(content))
    return content[:begin] + bytes(rng.choice((16, 1000, 100_000))) + content[begin + rng.choice((0, 16, 1000)) :]


def _noise_after(rng: random.Random, content: bytes, other: bytes) -> bytes:
    return content[rng.choice((0, 0, len(content) // 2)) :] + rng.randbytes(rng.choice((1, 1000, 100_000)))


def _noise_before(rng: random.Random, content: bytes, other: bytes) -> bytes:
    return rng.randbytes(rng.choice((1, 128, 10_000))) + content


def _noise_for_data(rng: random.Random, content: bytes, other: bytes) -> bytes:
    head = rng.choice((16, 64, 200, 1000))
    return content[:head] + rng.randbytes(max(0, len(content) - head))


def _whole(rng: random.Random, content: bytes, other: bytes) -> bytes:
    return content


_MUTATIONS: dict[str, Callable[[random.Random, bytes, bytes], bytes]] = {
    "bits flipped": _flip_bits,
    "bits flipped in the head": _flip_in_head,
    "cut short": _truncate,
    "a piece missing": _cut_out,
    "a piece repeated": _repeat,
    "pieces swapped": _swap,
    "extreme fields": _extreme_field,
    "extreme fields, sealed": _extreme_page,
    "spliced with another": _splice,
    "another inside": _insert,
    "zeros": _zeros,
    "noise after": _noise_after,
    "noise before": _noise_before,
    "noise for data": _noise_for_data,
    "wrong extension": _whole,
}


def _with_checksums(content: bytes) -> bytes:
    """RFC 3533: a page is 27 bytes, a table of segment lengths, and the segments; its CRC-32 stands at 22."""
    data, at = bytearray(content), 0
    while (at := data.find(b"OggS", at)) >= 0 and at + 27 <= len(data):
        lengths = data[at + 27 : at + 27 + data[at + 26]]
        end = at + 27 + len(lengths) + sum(lengths)
        data[at + 22 : at + 26] = bytes(4)
        data[at + 22 : at + 26] = struct.pack("<I", _ogg_crc(data[at:end]))
        at = max(end, at + 4)
    return bytes(data)


def _table() -> list[int]:
    rows = []
    for value in range(256):
        crc = value << 24
        for _ in range(8):
            crc = (crc << 1) ^ (0x04C11DB7 if crc & 0x80000000 else 0)
        rows.append(crc & 0xFFFFFFFF)
    return rows


_CRC = _table()


def _ogg_crc(page: bytes | bytearray) -> int:
    crc = 0
    for byte in page:
        crc = ((crc << 8) & 0xFFFFFFFF) ^ _CRC[(crc >> 24) ^ byte]
    return crc
