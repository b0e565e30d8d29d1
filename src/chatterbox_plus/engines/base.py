"""The protocol every engine keeps, whatever is behind it.

An engine object lives in a child process (`engines.host`) and is used by one thread at a time. Everything here is plain
data, so that it can cross the process border.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from chatterbox_plus.audio.clip import Clip, Samples


@dataclass(frozen=True)
class StockVoice:
    """A voice an engine has of its own."""

    name: str  # "en+f3": what a request calls it
    label: str  # "English (female 3)": what a person reads
    language: str  # BCP 47: "en", "pt-br"
    gender: str | None = None  # "female", "male" or None


@dataclass(frozen=True)
class EngineInfo:
    """What an engine can do, known before it is started."""

    name: str
    rate: int  # Hz of the speech it makes
    languages: tuple[str, ...]
    voices: tuple[StockVoice, ...]
    uses: frozenset[str]  # the model options (of SpeechOptions) that change its output
    estimates_word_times: bool  # True: the word times are a guess, not measured from its own synthesis
    preview: bool  # True: a stand-in voice, honest about not being a neural model
    joins_sentences: bool = True  # False: it says every sentence on its own, several in one go would sound no better
    seeded: bool = True  # False: the seed changes nothing
    revision: str = "1"  # another one, and the same passage may sound different: part of the key of every kept take


@dataclass(frozen=True, eq=False)
class Reference:
    """A recording of the voice to sound like.

    digest: content hash of the recording, the key of every cache of what is derived from it.
    clip: mono, any rate, at most some tens of seconds; at least 0.3 s.
    """

    digest: str
    clip: Clip


@dataclass(frozen=True)
class Passage:
    """A piece of text short enough to be said in one go."""

    index: int
    text: str
    language: str
    seed: int  # the same passage, voice, options and seed give the same bytes
    voice: str | None = None  # a stock voice's name; None: the language's own
    options: Mapping[str, float] = field(default_factory=dict)  # model options by name; absent = the model's default


@dataclass(frozen=True)
class Word:
    """When a word of a passage sounds. Seconds from the piece's first sample; offsets into the passage's text."""

    start_s: float
    end_s: float
    char_start: int
    char_end: int


@dataclass(frozen=True, eq=False)
class Piece:
    """A passage, spoken: mono audio at the engine's rate, and its words in order."""

    index: int
    clip: Clip
    words: tuple[Word, ...] = ()


Cancelled = Callable[[], bool]
"""True once the work is no longer wanted; an engine asks it several times a second and then stops by raising
`errors.Cancelled`."""


class Engine(Protocol):
    """What the child process drives. One call at a time."""

    info: EngineInfo

    def speak(self, passage: Passage, reference: Reference | None, cancelled: Cancelled) -> Piece:
        """Say one passage, in the reference's voice if there is one, else in the passage's stock voice.

        Raises InvalidAudio for a reference nothing can be learnt from, GenerationError if speech fails.
        """

    def convert(
        self,
        blocks: Iterator[Samples],
        rate: int,
        target: Reference,
        chunk_s: float,
        overlap_s: float,
        cancelled: Cancelled,
    ) -> Iterator[Samples]:
        """Say a recording again in the target's voice.

        blocks: mono (n,) at `rate` Hz, any sizes, from any length of recording: memory stays flat.
        chunk_s, overlap_s: the windows to work in and how far neighbours overlap; no seam may be heard.
        Yields mono (n,) at info.rate; as long as the input to the sample (after the change of rate).
        """
