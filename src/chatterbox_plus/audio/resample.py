"""Change the rate and nothing else: no shift in time, an exact length, the same samples however the input is cut."""

from fractions import Fraction

import av
import numpy as np

from chatterbox_plus.audio.clip import LAYOUTS, Samples

# libswresample's polyphase filter (Kaiser window). 64 taps instead of its 32: at 24 -> 16 kHz, 7 kHz is kept to 0.1 dB
# and everything from 8.5 kHz is 90 dB down (with 32 taps -0.4 dB and -26 dB), for no time that can be measured.
_TAPS = 64
_OPTIONS = {"filter_size": str(_TAPS), "cutoff": "0.97"}
_LARGEST_FRAME = 1 << 20  # samples; FFmpeg counts the bytes of a frame in 32 bits


class Resampler:
    """A Stage from src Hz to dst Hz, on libswresample: n samples become exactly round(n * dst / src)."""

    def __init__(self, src: int, dst: int, channels: int = 1) -> None:
        """channels: 1 (blocks (n,) or (1, n), results (n,)) or 2 (blocks and results (2, n)).

        Raises ValueError for a rate below 1 Hz or another number of channels.
        """
        if src < 1 or dst < 1:
            raise ValueError(f"cannot resample from {src} Hz to {dst} Hz")
        self._layout = LAYOUTS.get(channels, "")
        if not self._layout:
            raise ValueError(f"cannot resample {channels} channels")
        self._src, self._dst, self._channels = src, dst, channels
        self._taken = self._given = 0
        self._swr = av.AudioResampler("fltp", self._layout, dst, options=_OPTIONS) if src != dst else None

    def push(self, block: Samples) -> Samples:
        if self._swr is None:
            return block
        self._taken += block.shape[-1]
        return self._shaped(self._run(block))

    def finish(self) -> Samples:
        """The rest, the silence after the end taken as zeros."""
        if self._swr is None or self._taken == 0:
            return self._shaped([])
        # Zeros until the filter has passed over the last sample: it gives nothing for inputs shorter than itself.
        zeros = np.zeros((self._channels, _TAPS * (2 + self._src // self._dst)), np.float32)
        before = self._given
        tail = np.concatenate([*self._run(zeros), *self._resample(None)], axis=1)
        self._given = round(self._taken * self._dst / self._src)
        return self._shaped([tail[:, : self._given - before]])

    def map_time(self, t_s: float) -> float:
        return t_s

    def _run(self, block: Samples) -> list[Samples]:
        block = np.atleast_2d(np.ascontiguousarray(block, np.float32))
        out: list[Samples] = []
        for start in range(0, block.shape[1], _LARGEST_FRAME):
            part = np.ascontiguousarray(block[:, start : start + _LARGEST_FRAME])
            frame = av.AudioFrame.from_ndarray(part, "fltp", self._layout)
            frame.sample_rate, frame.time_base = self._src, Fraction(1, self._src)
            out += self._resample(frame)
        self._given += sum(part.shape[1] for part in out)
        return out

    def _resample(self, frame: av.AudioFrame | None) -> list[Samples]:
        assert self._swr is not None
        return [done.to_ndarray().astype(np.float32, copy=False) for done in self._swr.resample(frame)]

    def _shaped(self, parts: list[Samples]) -> Samples:
        whole = np.concatenate(parts, axis=1) if parts else np.zeros((self._channels, 0), np.float32)
        return whole[0] if self._channels == 1 else whole


def resample(samples: Samples, src: int, dst: int) -> Samples:
    """(n,) or (channels, n), channels 1 or 2, at src Hz -> the same at dst Hz, round(n * dst / src) samples."""
    if src == dst:
        return samples
    stage = Resampler(src, dst, 1 if samples.ndim == 1 else samples.shape[0])
    done = np.concatenate([stage.push(samples), stage.finish()], axis=-1)
    return done.reshape(*samples.shape[:-1], -1)
