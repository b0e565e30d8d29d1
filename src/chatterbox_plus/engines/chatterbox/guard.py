"""When a token model talks on without sense: how long a text may take, and what a loop or a silence looks like.

The bounds are ours, set wide: ordinary speech comes nowhere near them. Only token ids are looked at.
"""

import hashlib
import unicodedata
from collections import deque
from collections.abc import Sequence
from enum import StrEnum

TOKENS_PER_SECOND = 25
CEILING = 1000  # tokens, 40 s: upstream's max_new_tokens. The models were made for no longer passages
ATTEMPTS = 2  # once more with another seed, then it is an error

# Seconds that a character may take. Ordinary speech has 12 to 17 letters a second, or 5 to 8 syllables, of which a
# Chinese or Korean character is one and a Japanese one up to two (Pellegrino, Coupé and Marsico 2011).
_LETTER_S = 0.2
_WIDE_S = 0.5  # of the scripts that are written without spaces and in full width
_WORD_S = 0.8  # digits, capitals and signs: each can be a word of its own
FASTEST = 45.0  # letters and digits a second: three times the ordinary. Whoever is faster has left some out
_FEW = 20  # letters: a shorter text may be said in any time
_SLACK_S = 3.0  # for a breath, a slow voice's first word, a sigh

# The speech tokens of silence: 4299 is upstream's S3GEN_SIL, 4218 the one that greedy decoding is known to stick to.
_SILENCE = frozenset({4218, 4299})
_LONGEST_SILENCE = 2 * TOKENS_PER_SECOND  # a pause at the end of a sentence has less than one second
_LONGEST_PERIOD = 8  # tokens, 0.3 s: a syllable or two, said again and again
_LONGEST_LOOP = 38  # tokens in a row that only repeat: 1.5 s


class Runaway(StrEnum):
    """Why there was no sense in going on, for the person who asked."""

    ENDLESS = "it did not come to an end"
    LOOP = "it repeated itself"
    SILENT = "it fell silent"
    NOTHING = "it said nothing"
    HURRIED = "it ended too early"


def token_limit(text: str, ceiling: int = CEILING) -> int:
    """The most speech tokens that saying a text can take: three times as long as it does at an ordinary pace."""
    seconds = _SLACK_S + sum(map(_seconds, text))
    return min(ceiling, round(seconds * TOKENS_PER_SECOND))


def derived_seed(seed: int, attempt: int) -> int:
    """The first attempt's is the seed itself; the others' follow from it. 32 bits: torch's generator uses no more."""
    if attempt == 0:
        return seed
    digest = hashlib.blake2b(f"{seed}:{attempt}".encode(), digest_size=4, person=b"attempt").digest()
    return int.from_bytes(digest, "little")


class Guard:
    """Watches one passage being said, token by token."""

    def __init__(self, text: str, ceiling: int = CEILING, fastest: float = FASTEST) -> None:
        """ceiling: tokens. fastest: letters a second that may be said."""
        letters = sum(map(str.isalnum, text))
        self._least = letters / fastest * TOKENS_PER_SECOND if letters >= _FEW else 0
        self.limit = token_limit(text, ceiling)
        self.runaway: Runaway | None = None
        self._count = self._silent = 0
        self._tail: deque[int] = deque(maxlen=_LONGEST_PERIOD)
        self._repeated = [0] * _LONGEST_PERIOD  # by period - 1: how many tokens equal the one a period before

    def push(self, token: int) -> bool:
        """A token of speech, not the stop. True: there is no sense in going on."""
        for index, before in enumerate(reversed(self._tail)):
            self._repeated[index] = self._repeated[index] + 1 if token == before else 0
        self._tail.append(token)
        self._count += 1
        self._silent = self._silent + 1 if token in _SILENCE else 0
        if self._silent > _LONGEST_SILENCE:
            self.runaway = Runaway.SILENT
        elif max(self._repeated) > _LONGEST_LOOP and self._silent < _LONGEST_PERIOD:
            self.runaway = Runaway.LOOP
        elif self._count >= self.limit:
            self.runaway = Runaway.ENDLESS
        return self.runaway is not None

    def problem(self, tokens: Sequence[int]) -> str | None:
        """What is wrong with the tokens that came of it, if anything is."""
        if self.runaway is None and all(token in _SILENCE for token in tokens):
            return Runaway.NOTHING
        return self.runaway or (Runaway.HURRIED if len(tokens) < self._least else None)


def _seconds(character: str) -> float:
    if unicodedata.east_asian_width(character) in "WF":
        return _WIDE_S
    kind = unicodedata.category(character)
    return _WORD_S if kind in ("Lu", "Nd") or kind[0] == "S" else _LETTER_S
