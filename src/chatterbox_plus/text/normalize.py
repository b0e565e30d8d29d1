"""Writing out what a text only hints at, so that an engine says what a person would.

Order: sound words, reference numbers, then numbers and abbreviations (`normalize`); then the caller cuts sentences,
which needs capitals and full stops; then, sentence by sentence, dotted letters, blanks and lower case (`finish`).
A listener hears the same as in the documented order: lower case, blanks, dotted letters, references.
"""

import re
from dataclasses import dataclass

from chatterbox_plus.text.dates import read_dates, read_times
from chatterbox_plus.text.languages import base
from chatterbox_plus.text.numbers import read_codes, read_numbers, read_ranges, reader
from chatterbox_plus.text.quantities import read_money, read_units
from chatterbox_plus.text.shorthand import read_abbreviations, read_addresses, read_roman, read_signs
from chatterbox_plus.text.sound_words import SoundWords, apply
from chatterbox_plus.text.spans import Spoken


@dataclass(frozen=True, kw_only=True)
class TextRules:
    """What may be done to the text; the names are those of SpeechOptions, where the defaults live."""

    to_lowercase: bool
    normalize_spacing: bool
    fix_dot_letters: bool
    remove_reference_numbers: bool
    normalize_numbers: bool
    sound_words: SoundWords


# [1] [2, 3] [4-6] after anything but a blank, or after a blank that follows a sentence mark; (2) only after a mark or a
# closing quote, since "option (2)" or "f(2)" are meant to be read.
_REFERENCE = re.compile(
    r"(?<=[\w.,;:!?…。！？؟।\"'”’»)\]]) ?\[\d{1,3}(?:\s?[,;–-]\s?\d{1,3}){0,9}\]"
    r"|(?<=[.!?…。！？؟।] )\[\d{1,3}\](?=\s|$|\[)"
    r"|(?<=[.,;:!?…。！？؟।\"”’»])\(\d{1,3}\)(?!\w)"
)
_DOTTED = re.compile(
    r"(?<![\w.])(?![ap]\.m\.(?!\w))(?:[^\W\d_]\.){2,}(?!\w)|(?<![\w.])[^\W\d_](?:\.[^\W\d_]){2,}(?!\w)"
)
# English words of capitals that are said as letters: those without a vowel, and those that would be read as a word.
_INITIALS = re.compile(r"(?<![\w.'’-])(?:[B-DF-HJ-NP-TV-XZ]{2,5}|US|USA|UK|EU|UN|IT|AI|UAE|ID|IQ|UI|OS|IP)(?![\w'’])")
# What is longest goes first: a date holds numbers, a price a unit, a web address everything.
_RULES = (
    read_addresses,
    read_abbreviations,
    read_roman,
    read_dates,
    read_times,
    read_codes,
    read_money,
    read_ranges,
    read_units,
    read_signs,
    read_numbers,
)
_BLANKS = re.compile(r"\s+")


def normalize(spoken: Spoken, rules: TextRules, language: str) -> Spoken:
    """All that must happen before sentences are cut; case, blanks and line breaks stay."""
    spoken = apply(spoken, rules.sound_words)
    if rules.remove_reference_numbers:
        spoken = spoken.sub(_REFERENCE, "")
    if rules.normalize_numbers and (known := reader(language)):
        for rule in _RULES:
            spoken = rule(spoken, known)
    return spoken


def finish(sentence: Spoken, rules: TextRules, language: str) -> Spoken:
    """What is left to do to one sentence. White space at its ends goes.

    Dotted letters lose their dots ("U.S.A." -> "U S A"), but a dot that ends the sentence too stays.
    """
    sentence = sentence.strip()
    if rules.fix_dot_letters:
        sentence = sentence.sub(_DOTTED, _letters)
    if rules.normalize_spacing:
        sentence = sentence.sub(_BLANKS, " ")
    if not rules.to_lowercase:
        return sentence
    if rules.fix_dot_letters and base(language) == "en":
        sentence = sentence.sub(_INITIALS, _spelt)
    return sentence.lower()


def _spelt(match: re.Match[str]) -> str:
    """Capitals to letters, where lower case would hide that they are ("us", "it"), unless everything is in capitals."""
    around = match.string[max(0, match.start() - 40) : match.end() + 40]
    return " ".join(match[0]) if any(map(str.islower, around)) else match[0]


def _letters(match: re.Match[str]) -> str:
    letters = " ".join(match[0].replace(".", ""))
    ends_sentence = match.end() == len(match.string) and match.start() > 0 and match[0].endswith(".")
    return letters + "." if ends_sentence else letters
