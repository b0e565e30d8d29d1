"""Several recordings and silences, in order, as one. Constant memory, whatever their number and length.

Every file is decoded twice: once to learn its exact length, level and edges, so that everything that can be wrong with
it is known before the first sample leaves, and once to be heard.
"""

import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np

from chatterbox_plus.audio.clip import Samples, samples_in, silence
from chatterbox_plus.audio.decode import Decoder
from chatterbox_plus.audio.limiter import Limiter, decibels, from_decibels
from chatterbox_plus.audio.splice import (
    Cut,
    EdgeFinder,
    Interval,
    TrimInfo,
    equal_power_crossfade,
    fade_in,
    fade_out,
    natural_pause_ms,
)
from chatterbox_plus.audio.stage import through
from chatterbox_plus.errors import Cancelled, InvalidAudio, NotFound
from chatterbox_plus.synthesis.options import MAX_SEED, JoinOptions, SilenceSegment
from chatterbox_plus.synthesis.progress import Progress

MAX_RATE = 48_000  # Hz
LEVEL_DBFS = -20.0  # RMS of every levelled file (contract, 7.3)
NEAR_SILENCE_DBFS = -60.0  # a file below this holds no sound worth raising
CEILING_DBTP = -2.0  # of a levelled join; a lossy encoder may add some tenths
CLICK = 0.02  # a step at a join that is higher than this is heard (-34 dBFS)
CLICK_FADE_S = 0.003  # what such a step fades over


@dataclass(frozen=True)
class JoinSource:
    """A file to join: the name it was asked for by, and where it lies."""

    name: str
    path: Path


@dataclass(frozen=True)
class JoinedFile:
    """A file in the result. duration_s: of what is heard of it. trim: None where trimming was not asked for."""

    segment: int  # index among the options' segments
    name: str
    size_bytes: int
    duration_s: float
    gain_db: float
    trim: TrimInfo | None


@dataclass(frozen=True)
class JoinedSilence:
    """A silence that was asked for."""

    segment: int
    duration_ms: int
    notation: str


@dataclass(frozen=True)
class JoinedPause:
    """A natural pause."""

    duration_ms: int
    base_ms: int


Part = JoinedFile | JoinedSilence | JoinedPause


@dataclass(frozen=True)
class _Heard:
    """What the first pass learnt of a file. The edges are amplitudes per channel after the gain, (channels,)."""

    interval: Interval  # kept, of the decoded samples
    gain_db: float
    first: Samples
    last: Samples
    trim: TrimInfo | None
    size_bytes: int

    @property
    def length(self) -> int:
        return self.interval[1] - self.interval[0]


@dataclass
class _Placed:
    """A file on its way into the result: how many samples it shares with its neighbours or fades over at each end."""

    source: JoinSource
    heard: _Heard
    overlap_left: int = 0
    overlap_right: int = 0
    fade_in: int = 0
    fade_out: int = 0


class Joined:
    """A join that is planned to the sample. `blocks` may be run once.

    rate: Hz, the highest of the inputs' but at most 48 000. channels: 2 if any input has more than one, else 1.
    parts: what is in it, in order. duration_s: of the result, exactly. seed: repeats the natural pauses.
    """

    def __init__(
        self,
        options: JoinOptions,
        sources: Mapping[int, JoinSource],
        decoder: Decoder,
        *,
        cancel: Event,
        progress: Progress | None,
    ) -> None:
        self._options, self._decoder, self._cancel, self._progress = options, decoder, cancel, progress
        self._steps, self._done = 2 * len(sources), 0
        self.seed = options.seed if options.seed is not None else random.SystemRandom().randint(0, MAX_SEED)
        infos = [decoder.probe(source.path, cancel=cancel, name=source.name) for source in sources.values()]
        self.rate = min(max(info.rate for info in infos), MAX_RATE)
        self.channels = 2 if any(info.channels > 1 for info in infos) else 1
        placed: dict[int, _Placed] = {}
        for index, source in sources.items():
            placed[index] = _Placed(source, self._listen(source))
            self._step()
        self._items, self.parts = self._arrange(placed)
        samples = sum(item if isinstance(item, int) else item.heard.length - item.overlap_left for item in self._items)
        self.duration_s = samples / self.rate

    def blocks(self) -> Iterator[Samples]:
        """The result, (n,) or (2, n). Raises what the decoder raises, InvalidAudio for a file that has changed since
        it was planned, Cancelled."""
        if self._options.normalize_levels:
            yield from through(Limiter(self.rate, self.channels, 0.0, CEILING_DBTP), self._splice())
        else:
            yield from self._splice()

    def metadata(self) -> dict[str, Any]:
        """What a reply and the sidecar tell about it, but the time it took and the sizes of its files."""
        options = self._options
        files = [part for part in self.parts if isinstance(part, JoinedFile)]
        pauses = [part for part in self.parts if isinstance(part, JoinedPause)]
        trims = [(file.name, file.trim) for file in files if file.trim]
        removed_ms = sum(t.leading_silence_removed_ms + t.trailing_silence_removed_ms for _, t in trims)
        trimmed = sum(trim.trimmed for _, trim in trims)
        summary = {
            "files_trimmed": trimmed,
            "files_not_trimmed": len(files) - trimmed,
            "total_silence_removed_seconds": removed_ms / 1000,
        }
        return {
            "total_duration_seconds": round(self.duration_s, 3),
            "file_count": len(files),
            "crossfade_ms": options.crossfade_ms,
            "normalized": options.normalize_levels,
            "silence_segments": sum(isinstance(part, JoinedSilence) for part in self.parts),
            "natural_pauses": len(pauses),
            "total_segments": len(self.parts),
            "processing_details": [_details(part) for part in self.parts],
            "processed_files": [
                {"filename": f.name, "duration_seconds": round(f.duration_s, 3), "size_bytes": f.size_bytes}
                for f in files
            ],
            "pause_duration_ms": options.pause_duration_ms,
            "pause_variation_ms": options.pause_variation_ms,
            "total_pause_duration_ms": sum(pause.duration_ms for pause in pauses),
            "seed": self.seed,
            "trim_applied": options.trim,
            "trim_threshold_ms": options.trim_threshold_ms,
            **summary,
            "trim_summary": summary,
            "trim_metadata": [{"filename": name, **asdict(trim)} for name, trim in trims],
        }

    # The first pass

    def _listen(self, source: JoinSource) -> _Heard:
        options = self._options
        edges, energy, length = EdgeFinder(self.rate), 0.0, 0
        first: Samples | None = None
        try:
            size_bytes = source.path.stat().st_size
        except FileNotFoundError:
            raise NotFound(f"File not found: {source.name}") from None
        last = np.zeros(self.channels, np.float32)
        for block in self._decode(source):
            if options.trim:
                edges.push(block)
            if options.normalize_levels:
                energy += float(np.square(block, dtype=np.float64).sum()) / self.channels
            if block.shape[-1]:
                first = block[..., 0].reshape(-1) if first is None else first
                last = block[..., -1].reshape(-1)
            length += block.shape[-1]
        if first is None:
            raise InvalidAudio(f"Cannot join {source.name}: there is no sound in it")
        interval, trim = edges.plan(options.trim_threshold_ms) if options.trim else ((0, length), None)
        # what trimming cuts is 40 dB below the peak: all the energy is in what it keeps
        rms_dbfs = decibels(math.sqrt(energy / (interval[1] - interval[0])))
        level = options.normalize_levels and rms_dbfs > NEAR_SILENCE_DBFS
        gain_db = round(LEVEL_DBFS - rms_dbfs, 3) if level else 0.0  # rounded: the order of a sum is not to be heard
        gain, nothing = np.float32(from_decibels(gain_db)), np.zeros_like(last)
        return _Heard(
            interval,
            gain_db,
            nothing if interval[0] else first * gain,
            nothing if interval[1] < length else last * gain,
            trim,
            size_bytes,
        )

    def _arrange(self, files: Mapping[int, _Placed]) -> tuple[list[_Placed | int], tuple[Part, ...]]:
        """Files and silences (in samples) in order, with what happens at every edge decided."""
        options, rng = self._options, random.Random(self.seed)
        items: list[_Placed | int] = []
        parts: list[Part] = []
        for index, segment in enumerate(options.segments):
            if isinstance(segment, SilenceSegment):
                items.append(samples_in(segment.duration_ms / 1000, self.rate))
                parts.append(JoinedSilence(index, segment.duration_ms, segment.notation))
                continue
            if items and isinstance(items[-1], _Placed) and options.pause_duration_ms:
                pause_ms = natural_pause_ms(rng, options.pause_duration_ms, options.pause_variation_ms)
                items.append(samples_in(pause_ms / 1000, self.rate))
                parts.append(JoinedPause(pause_ms, options.pause_duration_ms))
            file = files[index]
            items.append(file)
            size = file.heard.size_bytes
            duration_s, heard = file.heard.length / self.rate, file.heard
            parts.append(JoinedFile(index, file.source.name, size, duration_s, heard.gain_db, heard.trim))
        self._overlap(items)
        self._soften(items)
        return items, tuple(parts)

    def _overlap(self, items: list[_Placed | int]) -> None:
        """Crossfades between direct neighbours, no longer than the shorter one; the two of a file that is faded at both
        ends share its length."""
        wanted = samples_in(self._options.crossfade_ms / 1000, self.rate)
        for left, right in pairwise(items):
            if isinstance(left, _Placed) and isinstance(right, _Placed):
                overlap = min(wanted, left.heard.length, right.heard.length)
                left.overlap_right = right.overlap_left = overlap
        for left, file, right in zip([0, *items], items, [*items[1:], 0], strict=False):
            if not isinstance(file, _Placed) or file.overlap_left + file.overlap_right <= file.heard.length:
                continue
            half = file.heard.length // 2
            if file.overlap_left <= half:
                file.overlap_right = file.heard.length - file.overlap_left
            elif file.overlap_right <= half:
                file.overlap_left = file.heard.length - file.overlap_right
            else:
                file.overlap_left = file.overlap_right = half
            if isinstance(left, _Placed):
                left.overlap_right = file.overlap_left
            if isinstance(right, _Placed):
                right.overlap_left = file.overlap_right

    def _soften(self, items: list[_Placed | int]) -> None:
        """Where files meet each other or a silence with a step that would click, both sides fade over 3 ms. All other
        samples stay as they are."""
        fade = samples_in(CLICK_FADE_S, self.rate)
        for left, right in pairwise(items):
            before = left.heard.last if isinstance(left, _Placed) else 0.0
            after = right.heard.first if isinstance(right, _Placed) else 0.0
            if float(np.abs(np.subtract(after, before)).max()) <= CLICK:
                continue
            if isinstance(left, _Placed) and not left.overlap_right:
                left.fade_out = min(fade, left.heard.length // 2)
            if isinstance(right, _Placed) and not right.overlap_left:
                right.fade_in = min(fade, right.heard.length // 2)

    # The second pass

    def _splice(self) -> Iterator[Samples]:
        ending = silence(0, self.channels)  # of the file before, still to be faded over
        for item in self._items:
            if isinstance(item, int):
                yield silence(item, self.channels)
                continue
            pending, faded = silence(0, self.channels), not item.overlap_left
            for block in self._play(item):
                pending = np.concatenate([pending, block], axis=-1)
                if not faded:
                    if pending.shape[-1] < item.overlap_left:
                        continue
                    pending, faded = self._crossfade(ending, pending, item.overlap_left), True
                ready = pending.shape[-1] - item.overlap_right
                if ready > 0:
                    yield pending[..., :ready]
                    pending = pending[..., ready:]
            ending = pending
            self._step()

    def _play(self, file: _Placed) -> Iterator[Samples]:
        """A file's part of the result, at its level."""
        gain, length, at = np.float32(from_decibels(file.heard.gain_db)), file.heard.length, 0
        rise = fade_in(np.ones(file.fade_in, np.float32))
        fall = fade_out(np.ones(file.fade_out, np.float32))
        for block in through(Cut(file.heard.interval, self.rate, self.channels), self._decode(file.source)):
            n = block.shape[-1]
            if not n:
                continue
            block = block * gain
            if at < file.fade_in:
                block[..., : file.fade_in - at] *= rise[at : at + n]
            falling = length - file.fade_out - at  # where in the block it begins
            if falling < n:
                begin = max(0, falling)
                block[..., begin:] *= fall[begin - falling :][: n - begin]
            at += n
            yield block
        if at != length:
            raise InvalidAudio(f"Cannot join {file.source.name}: it changed while it was read")

    def _crossfade(self, left: Samples, right: Samples, overlap: int) -> Samples:
        """Equal power; but where that would go beyond full scale and no limiter follows, equal gain, which cannot."""
        mixed = equal_power_crossfade(left, right, overlap)
        if not self._options.normalize_levels and float(np.abs(mixed[..., :overlap]).max()) > 1:
            rising = ((np.arange(overlap) + 0.5) / overlap).astype(np.float32)
            mixed[..., :overlap] = left * (1 - rising) + right[..., :overlap] * rising
        return mixed

    def _decode(self, source: JoinSource) -> Iterator[Samples]:
        with self._decoder.stream(
            source.path, rate=self.rate, channels=self.channels, cancel=self._cancel, name=source.name
        ) as stream:
            for block in stream:
                if self._cancel.is_set():
                    raise Cancelled("the request was called off")
                yield block

    def _step(self) -> None:
        self._done += 1
        if self._progress:
            self._progress(self._done, self._steps)


def join(
    options: JoinOptions,
    sources: Mapping[int, JoinSource],
    decoder: Decoder,
    *,
    cancel: Event,
    progress: Progress | None = None,
) -> Joined:
    """Plan a join, having listened to every file once.

    A gap with silences in it is exactly that long; else, with pause_duration_ms, it gets a natural pause; else
    neighbours meet directly and are crossfaded over crossfade_ms. normalize_levels brings each file to -20 dBFS RMS
    (plain, over all that is kept of it) and the whole under -2 dBTP; without it no sample of a file is changed but in
    crossfades and where a click would be heard.

    sources: segment index -> file, for every segment that is no silence.
    progress: called with the number of files worked on and how many that will be; every file counts twice.

    Raises what Decoder.stream raises, with the source's name in it, and Cancelled.
    """
    return Joined(options, sources, decoder, cancel=cancel, progress=progress)


def _details(part: Part) -> dict[str, Any]:
    if isinstance(part, JoinedFile):
        details = {
            "type": "file",
            "filename": part.name,
            "duration_seconds": round(part.duration_s, 3),
            "size_bytes": part.size_bytes,
        }
        return {**details, "trim_info": asdict(part.trim)} if part.trim else details
    duration = {"duration_ms": part.duration_ms, "duration_seconds": part.duration_ms / 1000}
    if isinstance(part, JoinedSilence):
        return {"type": "manual_silence", **duration, "notation": part.notation}
    variation_ms = part.duration_ms - part.base_ms
    return {
        "type": "natural_pause",
        **duration,
        "base_duration_ms": part.base_ms,
        "variation_applied_ms": variation_ms,
    }
