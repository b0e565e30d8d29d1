"""What crosses the border between the host and a child process, and how.

Messages are pickled (protocol 5) into length-prefixed frames; samples travel beside the pickle, not in it, so they
are copied into the pipe and out of it and nowhere else. Both ends are our own processes: nothing that comes from
outside is ever unpickled. Many pieces of work may be under way in a child at a time: each message about one carries
its `id`, which the host chose and which is never used again in that child. One about work that has ended means
nothing.
"""

import pickle
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO, Any

from chatterbox_plus.audio.clip import Samples
from chatterbox_plus.engines.base import Fragment, Passage, Piece, Reference
from chatterbox_plus.errors import PlusError


@dataclass(frozen=True)
class Remember:
    """Host to child: keep this reference until told to forget it. Work names it by its digest."""

    reference: Reference


@dataclass(frozen=True)
class Forget:
    """Host to child: the reference with this digest will be sent again before it is used again."""

    digest: str


@dataclass(frozen=True)
class Speak:
    """Host to child: say this. Answered by one Spoken or Failed; if it is live, by Sounded up to the last, or Failed.

    live, lane, rank: see `base.Speech`; an `Engine` takes no notice of them and answers with Spoken.
    """

    id: int
    passage: Passage
    reference: str | None
    live: bool = False
    lane: int = 0
    rank: int = 0


@dataclass(frozen=True)
class Convert:
    """Host to child: convert the Blocks that follow, up to End. Answered by Blocks and then End, or Failed."""

    id: int
    rate: int
    target: str
    chunk_s: float
    overlap_s: float
    watermark: bool = False
    lane: int = 0


@dataclass(frozen=True)
class Warm:
    """Host to child: load all that these tasks need. Answered by Warmed or Failed."""

    id: int
    tasks: frozenset[str]


@dataclass(frozen=True)
class Block:
    """Both ways: the next samples of a conversion."""

    id: int
    samples: Samples


@dataclass(frozen=True)
class End:
    """Both ways: no more Blocks."""

    id: int


@dataclass(frozen=True)
class Cancel:
    """Host to child: this work is not wanted any more. It still ends with its own last answer."""

    id: int


@dataclass(frozen=True)
class Ready:
    """Child to host: the engine is there. rows: of a `Crowd`, how many works it takes in at once; 0 = an `Engine`."""

    rows: int = 0


@dataclass(frozen=True)
class Spoken:
    """Child to host: a passage is done."""

    id: int
    piece: Piece


@dataclass(frozen=True)
class Sounded:
    """Child to host: the next part of a passage; the last one ends the work."""

    id: int
    fragment: Fragment


@dataclass(frozen=True)
class Alive:
    """Child to host: a crowd has done a step, whether or not anything came of it. At most twice a second."""


@dataclass(frozen=True)
class Warmed:
    """Child to host: what was to be loaded is loaded."""

    id: int


@dataclass(frozen=True)
class Consumed:
    """Child to host: the engine has taken this many samples of its input; as many more may be sent."""

    id: int
    samples: int


@dataclass(frozen=True)
class Failed:
    """Child to host: the work failed.

    details: a traceback for the log, for an error that was not raised on purpose.
    """

    id: int
    error: PlusError
    details: str | None = None


@dataclass(frozen=True)
class Unable:
    """Child to host, as its first message: the engine could not be started. details: as in Failed."""

    error: PlusError
    details: str


@dataclass(frozen=True)
class Broken:
    """Child to host, as its last message: an error that nobody raised on purpose came out of a crowd's step. All these
    works have failed by it. details: as in Failed."""

    ids: tuple[int, ...]
    error: PlusError
    details: str


Request = Remember | Forget | Speak | Convert | Warm | Block | End | Cancel
Outcome = Spoken | Sounded | Warmed | Consumed | Block | End | Failed
"""What a child says about one piece of work."""
Reply = Ready | Unable | Alive | Broken | Outcome
Frame = Sequence[bytes | memoryview]

_HEAD = struct.Struct("<II")  # bytes of the pickle, number of buffers; then a <Q length for each buffer


def encode(message: Request | Reply) -> Frame:
    """A message as the bytes to write. Its arrays are not copied: they must not change until it is written."""
    buffers: list[pickle.PickleBuffer] = []
    body = pickle.dumps(message, protocol=5, buffer_callback=buffers.append)
    views = [buffer.raw() for buffer in buffers]
    lengths = struct.pack(f"<{len(views)}Q", *(view.nbytes for view in views))
    return [_HEAD.pack(len(body), len(views)) + lengths + body, *views]


def write(stream: IO[bytes], frame: Frame) -> None:
    """Raises OSError when the other end is gone."""
    for part in frame:
        stream.write(part)
    stream.flush()


def read(stream: IO[bytes]) -> Any:
    """The next message. Raises EOFError when the other end is gone."""
    size, count = _HEAD.unpack(_exactly(stream, _HEAD.size))
    lengths = struct.unpack(f"<{count}Q", _exactly(stream, 8 * count))
    body = _exactly(stream, size)
    return pickle.loads(body, buffers=[_exactly(stream, length) for length in lengths])


def _exactly(stream: IO[bytes], size: int) -> bytearray:
    data = bytearray(size)
    if stream.readinto(data) != size:  # type: ignore[attr-defined]  # a buffered reader: short only at the end
        raise EOFError
    return data
