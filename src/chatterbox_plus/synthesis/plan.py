"""From the text of a request to what the engine is to say, piece by piece."""

import hashlib
import secrets
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from chatterbox_plus.engines.base import EngineInfo, Passage, Word
from chatterbox_plus.errors import InvalidOption
from chatterbox_plus.synthesis.options import MAX_SEED, SpeechOptions, belonging_to
from chatterbox_plus.synthesis.voices import Speaker
from chatterbox_plus.text.normalize import TextRules
from chatterbox_plus.text.passages import MAX_CHARS, Grouping, TextPassage, passages
from chatterbox_plus.text.sound_words import parse
from chatterbox_plus.text.spans import Spoken

DEFAULT_LANGUAGE = "en"
MODEL_OPTIONS = tuple(sorted(belonging_to("model")))


@dataclass(frozen=True)
class Edit:
    """A passage said otherwise. text: instead of its own; seed: to say it with, >= 1; None: as it was."""

    text: str | None = None
    seed: int | None = None


Edits = Mapping[int, Edit]
"""By the number of the passage, from 0."""
NO_EDITS: Edits = MappingProxyType({})


class NothingToSay(InvalidOption):
    """A text of which the rules leave nothing."""


@dataclass(frozen=True)
class PlannedPassage:
    """A passage for the engine, the silence after it, and where its characters come from."""

    passage: Passage
    spoken: Spoken
    pause_s: float
    number: int  # of the passage of the text that it is, or is part of, from 0: an edited one may have become several
    base: int = 0  # where in the plan's text that begins from which `spoken` counts

    def origin(self, word: Word) -> tuple[int, int]:
        """Offsets of a word into the plan's text."""
        start, end = self.spoken.span(word.char_start, word.char_end)
        return start + self.base, end + self.base

    @property
    def place(self) -> tuple[int, int]:
        """Where it stands in the plan's text."""
        start, end = self.spoken.span(0, len(self.spoken))
        return start + self.base, end + self.base


@dataclass(frozen=True)
class Plan:
    """All that will be said, in order. text: with all edits in it."""

    passages: tuple[PlannedPassage, ...]
    seed: int
    language: str
    text: str
    count: int  # passages before any edit

    @property
    def spoken_chars(self) -> int:
        """Characters after normalisation."""
        return sum(len(p.passage.text) for p in self.passages)


def language_asked(options: SpeechOptions, speaker: Speaker) -> str:
    """What the text is to be read in, as it was asked for."""
    return options.language or speaker.language or DEFAULT_LANGUAGE


def make_plan(
    options: SpeechOptions, speaker: Speaker, info: EngineInfo, seed: int = 0, edits: Edits = NO_EDITS
) -> Plan:
    """Normalise the text, cut it into passages and give each its seed.

    seed: where the options name none; 0 = a new one. edits: passages to be said otherwise; the others stay as they are.

    Raises InvalidOption for a sound-word rule that cannot be read or a language nobody speaks, NothingToSay.
    """
    language = info.resolve_language(language_asked(options, speaker))
    seed = options.seed or seed or new_seed()
    rules = TextRules(
        to_lowercase=options.to_lowercase,
        normalize_spacing=options.normalize_spacing,
        fix_dot_letters=options.fix_dot_letters,
        remove_reference_numbers=options.remove_reference_numbers,
        normalize_numbers=options.normalize_numbers,
        sound_words=parse(options.sound_words_field),
    )

    def cut(text: str) -> list[TextPassage]:
        return passages(
            Spoken.of(text),
            language,
            grouping=_grouping(options, info),
            rules=rules,
            max_chars=info.passage_chars.get(language, MAX_CHARS),
            sounds=info.sounds,
        )

    original = cut(options.text)
    if not original:
        raise NothingToSay("nothing of the text is left to say once the text rules were applied", param="text")
    given = _model_options(options, info)
    watermark = info.marks_audio and not options.disable_watermark
    said: Counter[str] = Counter()
    planned: list[PlannedPassage] = []
    text, at = "", 0  # the text with its edits, and how much of the original it has
    for number, piece in enumerate(original):
        edit = edits.get(number, Edit())
        pieces, base = [piece], len(text) - at
        if edit.text is not None:
            start, end = piece.spoken.span(0, len(piece.spoken))
            text += options.text[at:start]
            pieces, base, at = cut(edit.text), len(text), end
            if not pieces:
                raise InvalidOption(f"nothing is left to say of passage {number + 1}", param="text")
            pieces[-1] = replace(pieces[-1], pause_s=piece.pause_s)
            text += edit.text
        for part in pieces:
            words = part.spoken.text
            own = passage_seed(edit.seed or seed, words, said[words])
            said[words] += 1
            passage = Passage(len(planned), words, language, own, speaker.stock, given, watermark)
            planned.append(PlannedPassage(passage, part.spoken, part.pause_s, number, base))
    for each in planned:
        info.check_text(each.passage.text, language)
    return Plan(tuple(planned), seed, language, text + options.text[at:], len(original))


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
