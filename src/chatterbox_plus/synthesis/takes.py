"""Takes: passages that were spoken before, kept by all that decides how they sound.

A take is the engine's own samples, to the bit: speech put together from takes is the same as speech made anew. So work
that was broken off goes on where it stopped, and a book in which one sentence changed has one sentence spoken.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from functools import partial
from threading import Event
from typing import Any

import numpy as np

from chatterbox_plus.audio.clip import Clip, Samples
from chatterbox_plus.audio.stage import closing_after
from chatterbox_plus.engines.base import EngineInfo, Passage, Piece, Reference, Word
from chatterbox_plus.engines.host import EngineHost
from chatterbox_plus.library.content import ContentStore

_SCALE = 32768.0  # of 16-bit samples
_HEAD_BYTES = 256 * 2**10  # of what is read to learn how long a take is: its words stand before its samples


def take_key(info: EngineInfo, passage: Passage, reference: Reference | None) -> str:
    """The same for two passages exactly if they sound the same: 64 hex digits."""
    decides = {
        "engine": info.name,
        "revision": info.revision,
        "text": passage.text,
        "language": passage.language,
        "seed": passage.seed if info.seeded else None,
        "voice": passage.voice,
        "options": dict(sorted(passage.options.items())),
        **({"watermark": True} if passage.watermark else {}),
        "reference": None if reference is None else reference.digest,
    }
    return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()


def careful_ahead(info: EngineInfo) -> int | None:
    """How many passages may be in work where a crash should cost little: one, unless the engine needs many at once to
    be fast. Then it is as many as the host likes, and what was in work is what a crash costs."""
    return None if info.crowd else 1


class Takes:
    """Speaks through a store: what is there is not spoken again. Thread-safe."""

    def __init__(self, store: ContentStore) -> None:
        self.store = store

    def speak(
        self,
        host: EngineHost,
        passages: Sequence[Passage],
        reference: Reference | None,
        *,
        cancel: Event,
        timeout_s: float,
        ahead: int | None = None,
        lane: int = 0,
    ) -> Iterator[Piece]:
        """As `EngineHost.speak`; every piece is kept before it is given. Raises StorageFull too.

        ahead: None: as the host likes it; those in work are what a crash costs. Else a passage is begun when the one
        before is safely kept, so that a crash costs one at most.
        """
        keys = [take_key(host.info, passage, reference) for passage in passages]
        alone = partial(host.speak, reference=reference, cancel=cancel, timeout_s=timeout_s, lane=lane)
        missing = [
            passage
            for passage, key in zip(passages, keys, strict=True)
            if ahead is None and key not in self.store  # else each is looked for when its turn comes
        ]
        fresh = alone(missing)
        expected = iter(missing)
        upcoming = next(expected, None)
        with closing_after(fresh):
            for passage, key in zip(passages, keys, strict=True):
                if passage is not upcoming:
                    kept = self.load(key)
                    if kept is not None:
                        yield replace(kept, index=passage.index)
                        continue
                    (piece,) = alone([passage])
                else:
                    piece = next(fresh)
                    upcoming = next(expected, None)
                self.store.write(key, pack(piece))
                yield piece

    def seconds(self, key: str) -> float | None:
        """How long a take that is here sounds; None for one that is not. Its samples are not read."""
        found = self.store.beginning(key, _HEAD_BYTES)
        if found is None or b"\n" not in found[0]:
            return None
        head = found[0].partition(b"\n")[0]
        try:
            told = json.loads(head)
            samples: int = (found[1] - len(head) - 1) // np.dtype(told["type"]).itemsize
            return samples / float(told["rate"])
        except (ValueError, TypeError, KeyError, ZeroDivisionError):  # it is damaged: `read` will find out
            return None

    def load(self, key: str) -> Piece | None:
        """The take, None if nothing whole is there."""
        data = self.store.read(key)
        return None if data is None else unpack(data)


def pack(piece: Piece) -> bytes:
    """A line of JSON, then the samples: 16-bit where that loses nothing (an engine that makes such), else float."""
    samples = piece.clip.samples
    with np.errstate(over="ignore", invalid="ignore"):  # then they are kept as they are
        scaled = samples.astype(np.float32) * np.float32(_SCALE)
    whole = scaled.astype("<i2") if _fits(scaled) else None
    body = whole if whole is not None and _same(_floats(whole), samples) else samples.astype("<f4")
    head = {
        "rate": piece.clip.rate,
        "type": body.dtype.str,
        "words": [list(asdict(word).values()) for word in piece.words],
    }
    return json.dumps(head, separators=(",", ":")).encode() + b"\n" + body.tobytes()


def unpack(data: bytes) -> Piece:
    """What was packed."""
    head, _, body = data.partition(b"\n")
    told = json.loads(head)
    stored = np.frombuffer(body, told["type"])
    samples: Samples = _floats(stored) if told["type"] == "<i2" else stored.astype(np.float32)
    return Piece(0, Clip(samples, told["rate"]), tuple(Word(*word) for word in told["words"]))


def _floats(whole: np.ndarray[Any, np.dtype[np.int16]]) -> Samples:
    return whole.astype(np.float32) / np.float32(_SCALE)


def _same(one: Samples, other: Samples) -> bool:
    """To the bit: minus zero is not zero."""
    return one.tobytes() == other.astype(np.float32).tobytes()


def _fits(scaled: Samples) -> bool:
    return bool(np.isfinite(scaled).all() and (np.abs(scaled) <= _SCALE - 1).all())
