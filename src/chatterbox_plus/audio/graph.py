"""A chain of libavfilter's filters as something to push blocks through."""

from collections.abc import Sequence
from fractions import Fraction

import av
import av.filter
import numpy as np

from chatterbox_plus.audio.blocks import Regroup
from chatterbox_plus.audio.clip import LAYOUTS, Samples

BLOCK = 4096  # samples a filter gets at a time, always: some filters' results depend on it


class FilterGraph:
    """Filters given as (name, arguments), one after the other; float samples in, frames out.

    Raises ValueError for anything but one or two channels.
    """

    def __init__(self, rate: int, channels: int, filters: Sequence[tuple[str, str]], block: int = BLOCK) -> None:
        """block: samples that the filters get at a time."""
        if channels not in LAYOUTS:
            raise ValueError(f"{channels} channels: only mono and stereo can be filtered")
        self._rate, self._channels = rate, channels
        self._graph = av.filter.Graph()
        last = self._graph.add_abuffer(
            sample_rate=rate, format="flt", layout=LAYOUTS[channels], time_base=Fraction(1, rate)
        )
        for name, arguments in (*filters, ("aformat", "sample_fmts=flt"), ("abuffersink", "")):
            node = self._graph.add(name, arguments or None)
            last.link_to(node)
            last = node
        self._graph.configure()
        self._regroup = Regroup(block, channels)
        self._pts = 0

    def push(self, block: Samples) -> list[av.AudioFrame]:
        """The frames that are ready after these samples, (n,) or (channels, n)."""
        return [frame for whole in self._regroup.push(block) for frame in self._filter(whole)]

    def finish(self) -> list[av.AudioFrame]:
        """The frames that were still in the filters."""
        frames = self._filter(self._regroup.rest())
        self._graph.push(None)
        return frames + self._pull()

    def samples(self, frames: Sequence[av.AudioFrame]) -> list[Samples]:
        """The frames' samples, (n,) or (channels, n)."""
        return [
            packed if self._channels == 1 else packed.reshape(-1, self._channels).T
            for packed in (frame.to_ndarray()[0] for frame in frames)
        ]

    def _filter(self, block: Samples) -> list[av.AudioFrame]:
        if not block.shape[-1]:
            return []
        packed = np.ascontiguousarray(block.T).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(packed, format="flt", layout=LAYOUTS[self._channels])
        frame.sample_rate, frame.time_base, frame.pts = self._rate, Fraction(1, self._rate), self._pts
        self._pts += block.shape[-1]
        self._graph.push(frame)
        return self._pull()

    def _pull(self) -> list[av.AudioFrame]:
        frames: list[av.AudioFrame] = []
        while True:
            try:
                frame = self._graph.pull()
            except (av.BlockingIOError, av.EOFError):  # nothing more for now; nothing more at all
                return frames
            assert isinstance(frame, av.AudioFrame)
            frames.append(frame)
