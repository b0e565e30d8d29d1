"""A recording of any length as windows that the model can hear, and its answers as one sound again, in flat memory."""

import math
from collections.abc import Iterator
from hashlib import blake2b

import numpy as np

from chatterbox_plus.audio.clip import Samples, silence
from chatterbox_plus.audio.resample import Resampler

HEARING_RATE, RATE = 16_000, 24_000  # Hz of windows, and of the answers to them
TOKEN, SPOKEN = 640, 960  # samples of a speech token, 40 ms, at the one rate and at the other
LONGEST_S = 30.0  # what the speech tokenizer was made for
_SHORTEST = 12  # tokens of a window, 0.48 s: in less no voice is recognised
_OVERLAP = 3  # tokens, at least: one to fade over and one on each side, as the edges of answers are not as good


class Windows:
    """Cuts a stream into windows that overlap, and fades the answer to each into the one before.

    A window ends where it is quietest in its last third; its neighbour overlaps it around that token. Only within that
    token they are faded over: the same speech twice at once sounds like two people. The last two windows share what is
    left, so that neither is too short. Answers must be as long as their windows.
    One loop: `for window in cut(blocks): yield from join(answer to the window)`, then `yield from rest()`.
    """

    def __init__(self, rate: int, chunk_s: float, overlap_s: float) -> None:
        """rate: Hz of the blocks. chunk_s: of the longest window, in effect 0.48 to 30. overlap_s: of neighbours, in
        effect 0.12 to a quarter of a window."""
        self._rate = rate
        self._longest = max(_SHORTEST, math.floor(min(chunk_s, LONGEST_S) * HEARING_RATE / TOKEN + 1e-6))  # tokens
        overlap = min(max(_OVERLAP, math.ceil(overlap_s * HEARING_RATE / TOKEN - 1e-6)), self._longest // 4)
        self._before, self._after = overlap // 2, (overlap - 1) // 2  # tokens of it around the one that is faded over
        self._index, self._seam = -1, 0  # of the window in work: number, token that fades into the next
        self._taken = self._given = 0  # samples in, at their rate, and out
        self._held = silence(0)  # the token that the next answer fades in over

    def cut(self, blocks: Iterator[Samples]) -> Iterator[Samples]:
        """Blocks (n,) of any sizes at the rate -> windows (640 t,) at HEARING_RATE, the last filled up with zeros."""
        resampler, parts, count = Resampler(self._rate, HEARING_RATE), [silence(0)], 0
        third, most = self._longest // 3, self._longest - self._after
        ahead = (self._longest + third) * TOKEN  # known before a window is cut: what is left is no short one
        for block in blocks:
            self._taken += len(block)
            parts.append(resampler.push(block.copy()))
            count += len(parts[-1])
            if count <= ahead:
                continue
            samples = np.concatenate(parts)
            while len(samples) > ahead:
                seam = _quietest(samples, most - third, most)
                yield self._window(samples, seam)
                samples = samples[(seam - self._before) * TOKEN :]
            parts, count = [samples], len(samples)
        samples = np.concatenate([*parts, resampler.finish()])
        tokens = -(-len(samples) // TOKEN)
        samples = np.pad(samples, (0, tokens * TOKEN - len(samples)))
        if tokens > self._longest:
            least = max(third, tokens - self._longest + self._before)
            seam = _quietest(samples, least, min(most, tokens - third + self._before))
            yield self._window(samples, seam)
            samples = samples[(seam - self._before) * TOKEN :]
        if tokens:
            yield self._window(samples, len(samples) // TOKEN - 1)

    def _window(self, samples: Samples, seam: int) -> Samples:
        self._index, self._seam = self._index + 1, seam
        return samples[: (seam + 1 + self._after) * TOKEN]

    def seed(self, digest: str) -> int:
        """For the window in work: another one for each window and target voice, the same every time; 0 to 2**63 - 1."""
        hashed = blake2b(f"{digest} {self._index}".encode(), digest_size=8).digest()
        return int.from_bytes(hashed, "big") >> 1

    def join(self, samples: Samples) -> Iterator[Samples]:
        """The answer to the window in work, (960 t,) at RATE -> what is final now, (n,)."""
        begin, end = (self._before + 1) * SPOKEN if self._index else 0, self._seam * SPOKEN
        seam = _faded_over(self._held, samples[begin - SPOKEN : begin]) if self._index else silence(0)
        done = np.concatenate([seam, samples[begin:end]])
        self._held = samples[end : end + SPOKEN].copy()
        self._given += len(done)
        if len(done):
            yield done

    def rest(self) -> Iterator[Samples]:
        """What is held after the last window: in all, the output is round(n * RATE / rate) samples long."""
        missing = round(self._taken * RATE / self._rate) - self._given
        if missing:
            yield np.pad(self._held, (0, SPOKEN))[:missing]  # rounded twice, a sample more may be wanted than there is


def _quietest(samples: Samples, least: int, most: int) -> int:
    """The token from `least` to before `most` that is quietest, with its neighbours counted half; of equals the last.

    samples: (n,) at HEARING_RATE, with a whole token before the first and after the last of them.
    """
    tokens = samples[(least - 1) * TOKEN : (most + 1) * TOKEN].reshape(-1, TOKEN)
    power = np.square(tokens, dtype=np.float64).mean(axis=1)
    around = power[:-2] + 2 * power[1:-1] + power[2:]
    return most - 1 - int(np.argmin(around[::-1]))


def _faded_over(old: Samples, new: Samples) -> Samples:
    """(n,) and (n,) -> (n,), at equal power however alike the two are."""
    rising = (0.5 - 0.5 * np.cos((np.arange(len(new)) + 0.5) * (np.pi / len(new)))).astype(np.float32)
    falling = 1 - rising
    both = math.sqrt(float(np.dot(old, old)) * float(np.dot(new, new)))
    alike = max(0.0, float(np.dot(old, new)) / both) if both else 0.0
    faded: Samples = (old * falling + new * rising) / np.sqrt(rising**2 + falling**2 + 2 * alike * rising * falling)
    return faded
