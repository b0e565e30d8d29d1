"""The built-in engine: espeak-ng speech, in a stock voice or moved to a reference's."""

from collections.abc import Iterator

import numpy as np

from chatterbox_plus.audio.clip import Clip, Samples, samples_in, silence
from chatterbox_plus.audio.limiter import HIGHEST_CEILING_DBTP, Limiter, decibels
from chatterbox_plus.audio.resample import resample
from chatterbox_plus.engines.base import Cancelled as IsCancelled
from chatterbox_plus.engines.base import Passage, Piece, Reference
from chatterbox_plus.engines.builtin import espeak
from chatterbox_plus.engines.builtin.convert import Output, convert, reference_print, runs_of, stop_if
from chatterbox_plus.engines.builtin.espeak import Espeak, WordEvent
from chatterbox_plus.engines.builtin.levels import active_rms
from chatterbox_plus.engines.builtin.voicemap import VoiceMap
from chatterbox_plus.engines.builtin.voiceprint import VoicePrint, measure
from chatterbox_plus.engines.builtin.voices import RATE, describe, voice_file
from chatterbox_plus.engines.builtin.words import place_words
from chatterbox_plus.engines.builtin.world import Speech, join
from chatterbox_plus.errors import InvalidAudio

LEAD_S, TAIL_S = 0.02, 0.05  # silence left around speech: the pauses between passages are the caller's to make
NOTHING_S = 0.1  # of silence for a text in which nothing can be spoken
_LEVEL = 10 ** (-20 / 20)  # RMS of a stock voice while it speaks: -20 dBFS
_QUIET = 10 ** (-50 / 20)  # what is below, relative to the loudest sample, is silence around the speech
_SILENT = 10 ** (-70 / 20)  # a reference whose loudest sample is below has no voice in it
SHORTEST_REFERENCE_S = 0.3
_MOST_PRINTS = 256  # of references, and maps to them: some 10 KB each
# Sayable in every language, with many of its sounds: what the map from its voice is learnt on.
_NUMBERS = "1 2 3 4 5 6 7 8 9 10 11 12 20 30 100 1000"
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
        self._prints: dict[str, VoicePrint] = {}
        self._maps: dict[tuple[str, str], VoiceMap] = {}

    def warm(self, tasks: frozenset[str]) -> None:
        """Nothing is loaded later than at the start."""

    def speak(self, passage: Passage, reference: Reference | None, cancelled: IsCancelled) -> Piece:
        """Say one passage: mono at 24 kHz, 20 ms before the first sound and 50 ms after the last.

        Text is plain: markup is read out. A text in which nothing can be spoken gives 0.1 s of silence. A stock voice
        speaks at about -20 dBFS RMS, whichever it is. Peaks stay under -1 dBFS.
        Raises InvalidOption for an unknown language or voice, GenerationError, Cancelled.
        """
        if reference is not None:
            return self._clone(passage, reference, cancelled)
        voice = voice_file(passage.language, passage.voice)
        samples, events, cut_s = self._say(passage.text, voice, cancelled)
        if not len(samples):
            return _nothing(passage)
        limiter = Limiter(RATE, 1, decibels(self._gain(voice)), HIGHEST_CEILING_DBTP)
        samples = np.concatenate([limiter.push(samples), limiter.finish()])
        words = place_words(passage.text, events, samples, RATE, event_rate=espeak.RATE, offset_s=cut_s)
        return Piece(passage.index, Clip(samples, RATE), words)

    def convert(
        self,
        blocks: Iterator[Samples],
        rate: int,
        target: Reference,
        chunk_s: float,
        overlap_s: float,
        cancelled: IsCancelled,
        watermark: bool = False,
    ) -> Iterator[Samples]:
        """Move a recording to the target's voice: mono at 24 kHz, the same length and timing.

        The windows only set how F0 is looked for: sound is made in one go, so there are no seams to hide, whatever
        chunk_s and overlap_s are. Windows over 4.5 s are worked on in parts. The first minute is read before the first
        sound is given: what the source's voice is like is learnt there, once for all of the recording.
        Raises InvalidAudio for a target nothing can be learnt from, Cancelled.
        """
        return convert(blocks, rate, self._print_of(target, cancelled), chunk_s, overlap_s, cancelled)

    def _clone(self, passage: Passage, reference: Reference, cancelled: IsCancelled) -> Piece:
        # Not from the variant nearest in pitch: every variant has its own timing, and words are to stay in place.
        voice = voice_file(passage.language)
        said, events, cut_s = self._say(passage.text, voice, cancelled)
        if not len(said):
            return _nothing(passage)
        parts = []
        for run in runs_of(said):
            stop_if(cancelled)
            parts.append(run.speech())
        move = self._map(voice, reference, cancelled).centred(join(parts))
        samples = _rendered(parts, move, len(said), cancelled)
        corrected = move.corrected(samples)
        if corrected is not None:
            samples = _rendered(parts, corrected, len(said), cancelled)
        words = place_words(passage.text, events, said, RATE, event_rate=espeak.RATE, offset_s=cut_s)
        return Piece(passage.index, Clip(samples, RATE), words)

    def _print_of(self, reference: Reference, cancelled: IsCancelled) -> VoicePrint:
        found = self._prints.pop(reference.digest, None)
        if found is None:
            found = reference_print(_checked(reference.clip), cancelled)
        self._prints[reference.digest] = found  # the latest used is the last
        if len(self._prints) > _MOST_PRINTS:
            del self._prints[next(iter(self._prints))]
        return found

    def _map(self, voice: str, reference: Reference, cancelled: IsCancelled) -> VoiceMap:
        """From a voice of espeak-ng's to the reference's: one for all passages, so that they sound alike."""
        key = voice, reference.digest
        found = self._maps.pop(key, None)
        if found is None:
            target = self._print_of(reference, cancelled)
            said, _, _ = self._say(_NUMBERS, voice, cancelled)
            said = said if len(said) else silence(RATE)
            parts = []
            for run in runs_of(said):
                stop_if(cancelled)
                parts.append(run.speech())
            speech = join(parts)
            source = measure(speech.f0, speech.log_power, said)
            found = VoiceMap(source, target, speech, lambda: stop_if(cancelled))
        self._maps[key] = found  # the latest used is the last
        if len(self._maps) > _MOST_PRINTS:
            del self._maps[next(iter(self._maps))]
        return found

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


def _rendered(parts: list[Speech], move: VoiceMap, length: int, cancelled: IsCancelled) -> Samples:
    out, done = Output(length), []
    for speech in parts:
        stop_if(cancelled)
        done.append(out.push(move.apply(speech)))
    return np.concatenate([*done, out.finish()])


def _checked(clip: Clip) -> Samples:
    """A reference as mono at RATE. Raises InvalidAudio if there is nothing to learn from."""
    if clip.duration_s < SHORTEST_REFERENCE_S:
        raise InvalidAudio(f"the reference recording is too short: at least {SHORTEST_REFERENCE_S} s are needed")
    mono = clip.samples if clip.samples.ndim == 1 else clip.samples.mean(axis=0)
    if not np.abs(mono).max() > _SILENT:
        raise InvalidAudio("the reference recording is silent")
    return resample(mono, clip.rate, RATE)


def _nothing(passage: Passage) -> Piece:
    return Piece(passage.index, Clip(silence(samples_in(NOTHING_S, RATE)), RATE))
