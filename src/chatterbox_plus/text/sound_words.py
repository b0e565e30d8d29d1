"""Sound words: the user's own replacements, written before anything else looks at the text."""

import re
from collections.abc import Sequence

from chatterbox_plus.errors import InvalidOption
from chatterbox_plus.text.spans import Spoken

SoundWords = tuple[tuple[str, str], ...]
_FIELD = "sound_words_field"
_MOST_ADDED = 20_000, 5  # characters that replacements may add to any text, and for each of its own


def parse(field: str) -> SoundWords:
    """One `from=>to` a line, blanks around both ignored; `to` may be empty. Blank lines and `# comments` are skipped.

    Raises InvalidOption, naming the line, where the arrow or the word before it is missing.
    """
    rules = []
    for number, line in enumerate(field.splitlines(), start=1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        written, arrow, spoken = line.partition("=>")
        if not arrow:
            raise InvalidOption(f"line {number} of the sound words has no `=>`; write `from=>to`", param=_FIELD)
        if not written.strip():
            raise InvalidOption(f"line {number} of the sound words has nothing before `=>`", param=_FIELD)
        rules.append((written.strip(), spoken.strip()))
    return tuple(rules)


def apply(spoken: Spoken, rules: Sequence[tuple[str, str]]) -> Spoken:
    """Replace whole words, whatever their case, in one pass: the longest match wins, of equal ones the last line.

    What was put in is not looked at again. A word is whole where no letter or digit touches the end of it that is
    itself a letter or digit, so that rules for "C++" or "&" work too. Raises InvalidOption where a text of a normal
    length would become one without end.
    """
    spoken_as = {written.casefold(): to for written, to in rules}
    if not spoken_as:
        return spoken
    longest_first = sorted(spoken_as, key=len, reverse=True)
    pattern = re.compile("|".join(map(_whole_word, longest_first)), re.IGNORECASE)
    room = _MOST_ADDED[0] + _MOST_ADDED[1] * len(spoken)

    def replace(match: re.Match[str]) -> str:
        nonlocal room
        new = spoken_as.get(match[0].casefold(), match[0])
        room -= len(new) - len(match[0])
        if room < 0:
            raise InvalidOption("the sound words make the text many times as long: split it", param=_FIELD)
        return new

    return spoken.sub(pattern, replace)


def _whole_word(written: str) -> str:
    before = r"(?<!\w)" if re.match(r"\w", written) else ""
    after = r"(?!\w)" if re.match(r"\w", written[-1]) else ""
    return before + re.escape(written) + after
