"""From the text of a request to what the engine is to say, piece by piece."""

import hashlib
import secrets
from collections import Counter
from dataclasses import dataclass

from chatterbox_plus.engines.base import EngineInfo, Passage, Word
from chatterbox_plus.engines.builtin.voices import resolve_language
from chatterbox_plus.errors import InvalidOption
from chatterbox_plus.synthesis.options import MAX_SEED, SpeechOptions, belonging_to
from chatterbox_plus.synthesis.voices import Speaker
from chatterbox_plus.text.normalize import TextRules
from chatterbox_plus.text.passages import Grouping, passages
from chatterbox_plus.text.sound_words import parse
from chatterbox_plus.text.spans import Spoken

DEFAULT_LANGUAGE = "en"
MODEL_OPTIONS = tuple(sorted(belonging_to("model")))


class NothingToSay(InvalidOption):
    """A text of which the rules leave nothing."""


@dataclass(frozen=True)
class PlannedPassage:
    """A passage for the engine, the silence after it, and where its characters come from."""

    passage: Passage
    spoken: Spoken
    pause_s: float

    def origin(self, word: Word) -> tuple[int, int]:
        """Offsets of a word into the text as it was sent."""
        return self.spoken.span(word.char_start, word.char_end)


@dataclass(frozen=True)
class Plan:
    """All that will be said, in order."""

    passages: tuple[PlannedPassage, ...]
    seed: int
    language: str

    @property
    def spoken_chars(self) -> int:
        """Characters after normalisation."""
        return sum(len(p.passage.text) for p in self.passages)


def make_plan(options: SpeechOptions, speaker: Speaker, info: EngineInfo, seed: int = 0) -> Plan:
    """Normalise the text, cut it into passages and give each its seed.

    seed: where the options name none; 0 = a new one.

    Raises InvalidOption for a sound-word rule that cannot be read or a language nobody speaks, NothingToSay.
    """
    language = resolve_language(options.language or speaker.language or DEFAULT_LANGUAGE)
    seed = options.seed or seed or new_seed()
    rules = TextRules(
        to_lowercase=options.to_lowercase,
        normalize_spacing=options.normalize_spacing,
        fix_dot_letters=options.fix_dot_letters,
        remove_reference_numbers=options.remove_reference_numbers,
        normalize_numbers=options.normalize_numbers,
        sound_words=parse(options.sound_words_field),
    )
    cut = passages(Spoken.of(options.text), language, grouping=_grouping(options, info), rules=rules)
    if not cut:
        raise NothingToSay("nothing of the text is left to say once the text rules were applied", param="text")
    given = _model_options(options, info)
    said: Counter[str] = Counter()
    planned = []
    for index, piece in enumerate(cut):
        text = piece.spoken.text
        own = passage_seed(seed, text, said[text])
        said[text] += 1
        planned.append(
            PlannedPassage(Passage(index, text, language, own, speaker.stock, given), piece.spoken, piece.pause_s)
        )
    return Plan(tuple(planned), seed, language)


def new_seed() -> int:
    """A seed nobody asked for, never 0 since that means "a new one"."""
    return 1 + secrets.randbelow(MAX_SEED)


def passage_seed(seed: int, text: str, occurrence: int = 0) -> int:
    """The seed of one passage: far apart for any two, the same on every machine.

    It goes by what is said and not by where: a sentence put in before others leaves theirs as they were. occurrence:
    how often the same text has been said before.
    """
    said = f"{occurrence}\0{text}".encode()
    digest = hashlib.blake2b(said, digest_size=4, key=seed.to_bytes(4, "little"), person=b"passage")
    return int.from_bytes(digest.digest(), "little")


def _grouping(options: SpeechOptions, info: EngineInfo) -> Grouping:
    if not info.joins_sentences:
        return "each"
    if options.enable_batching:
        return "batch"
    return "smart" if options.smart_batch_short_sentences else "each"


def _model_options(options: SpeechOptions, info: EngineInfo) -> dict[str, float]:
    return {
        name: getattr(options, name)
        for name in MODEL_OPTIONS
        if name in info.uses and getattr(options, name) is not None
    }
