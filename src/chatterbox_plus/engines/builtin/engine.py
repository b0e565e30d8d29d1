"""The built-in engine: espeak-ng speech, in a stock voice or moved to a reference's."""

import numpy as np

from chatterbox_plus.audio.clip import Clip, Samples, samples_in, silence
from chatterbox_plus.audio.resample import resample
from chatterbox_plus.engines.base import Cancelled as IsCancelled
from chatterbox_plus.engines.base import Passage, Piece, Reference
from chatterbox_plus.engines.builtin import espeak
from chatterbox_plus.engines.builtin.espeak import Espeak, WordEvent
from chatterbox_plus.engines.builtin.levels import active_rms, soften_peaks
from chatterbox_plus.engines.builtin.voices import RATE, describe, voice_file
from chatterbox_plus.engines.builtin.words import place_words

LEAD_S, TAIL_S = 0.02, 0.05  # silence left around speech: the pauses between passages are the caller's to make
NOTHING_S = 0.1  # of silence for a text in which nothing can be spoken
_LEVEL = 10 ** (-20 / 20)  # RMS of a stock voice while it speaks: -20 dBFS
_QUIET = 10 ** (-50 / 20)  # what is below, relative to the loudest sample, is silence around the speech
_DIGITS = "1 2 3 4 5 6 7 8 9 10"  # every language can say them: what a voice's level is measured on


class BuiltinEngine:
    """Speech of 138 languages without a model: a preview voice, and honest about it (`info.preview`).

    The same text, voice and reference give the same bytes, in whatever process and after whatever else. Nothing is left
    to chance, so the seed changes nothing.
    """

    def __init__(self) -> None:
        """Raises ModelLoadError if espeak-ng cannot be used here."""
        self.info = describe()
        self._espeak = Espeak()
        self._gains: dict[str, float] = {}

    def speak(self, passage: Passage, reference: Reference | None, cancelled: IsCancelled) -> Piece:
        """Say one passage: mono at 24 kHz, 20 ms before the first sound and 50 ms after the last.

        Text is plain: markup is read out. A text in which nothing can be spoken gives 0.1 s of silence. A stock voice
        speaks at about -20 dBFS RMS, whichever it is. Peaks stay under -1 dBFS.
        Raises InvalidOption for an unknown language or voice, GenerationError, Cancelled.
        """
        voice = voice_file(passage.language, passage.voice)
        samples, events, cut_s = self._say(passage.text, voice, cancelled)
        if not len(samples):
            return Piece(passage.index, Clip(silence(samples_in(NOTHING_S, RATE)), RATE))
        samples = soften_peaks(samples * np.float32(self._gain(voice)))
        words = place_words(passage.text, events, samples, RATE, event_rate=espeak.RATE, offset_s=cut_s)
        return Piece(passage.index, Clip(samples, RATE), words)

    def _say(self, text: str, voice: str, cancelled: IsCancelled) -> tuple[Samples, tuple[WordEvent, ...], float]:
        """What espeak-ng says, at RATE, with LEAD_S and TAIL_S of silence around it, and the seconds cut before."""
        spoken = self._espeak.say(text, voice, cancelled)
        samples = resample(spoken.samples, espeak.RATE, RATE)
        peak = float(np.abs(samples).max(initial=0.0))
        if peak < 1e-4:
            return silence(0), (), 0.0
        heard = np.flatnonzero(np.abs(samples) > _QUIET * peak)
        start, end = int(heard[0]) - samples_in(LEAD_S, RATE), int(heard[-1]) + 1 + samples_in(TAIL_S, RATE)
        around = np.pad(samples, (max(-start, 0), max(end - len(samples), 0)))
        return around[max(start, 0) : max(start, 0) + end - start], spoken.events, start / RATE

    def _gain(self, voice: str) -> float:
        """What brings a voice to the level of all of them: variants differ by 20 dB."""
        if voice not in self._gains:
            level = active_rms(self._espeak.say(_DIGITS, voice).samples, espeak.RATE)
            self._gains[voice] = _LEVEL / level if level > 0 else 1.0
        return self._gains[voice]
