"""The protocol every engine keeps, whatever is behind it.

An engine object lives in a child process (`engines.host`) and is driven by one thread. It is one of two kinds: an
`Engine` does one thing at a time, a `Crowd` a little of many things in turn. What crosses the process border is plain
data.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from chatterbox_plus.audio.clip import Clip, Samples
from chatterbox_plus.engines.tags import find_tag
from chatterbox_plus.errors import InvalidOption, PlusError

TASKS = ("tts", "vc")
"""What an engine can be asked to load itself for: speech, conversion."""


@dataclass(frozen=True)
class StockVoice:
    """A voice an engine has of its own."""

    name: str  # "en+f3": what a request calls it
    label: str  # "English (female 3)": what a person reads
    language: str  # BCP 47: "en", "pt-br"
    gender: str | None = None  # "female", "male" or None


@dataclass(frozen=True)
class EngineInfo:
    """What an engine can do, known before it is started.

    Plain data and what follows from it; an engine whose voices are too many to list has a class of its own.
    """

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
    title: str = ""  # as messages call it: "built-in engine"
    tags: Mapping[str, str] = field(default_factory=dict)  # BCP 47 tags beside the languages' own -> the language
    passage_chars: Mapping[str, int] = field(default_factory=dict)  # by language: the most it says well in one go
    default_voice: bool = True  # False: it cannot speak without a reference
    sounds: tuple[str, ...] = ()  # marks in a text that it performs: "[laugh]"
    reference_s: float = 0.0  # seconds of recording, from which on it knows a voice well
    loads_late: bool = False  # True: a child that has started has not loaded its weights yet
    crowd: bool = False  # True: it works on many passages at once, and is slow where it gets one at a time
    marks_audio: bool = False  # whether it can put a watermark into what it makes
    remarks: Mapping[str, str] = field(default_factory=dict)  # by language: what a listener should know of its speech

    def find_language(self, tag: str) -> str | None:
        """The language that a BCP 47 tag asks for, in any case: en-US -> en, where there is no other English."""
        return find_tag(tag, {code: code for code in self.languages} | dict(self.tags))

    def resolve_language(self, tag: str) -> str:
        """As `find_language`. Raises InvalidOption for a language it does not speak."""
        if (found := self.find_language(tag)) is not None:
            return found
        short = [code for code in self.languages if len(code) == 2]
        rest = " and others" if len(short) < len(self.languages) else ""
        name = self.title or f"{self.name} engine"
        raise InvalidOption(
            f"language {tag[:35]!r} is not one the {name} speaks: {', '.join(short)}{rest}", param="language"
        )

    def check_text(self, text: str, language: str) -> None:
        """Raises MissingExtra for text that it could only read wrongly for want of a package."""

    def resolve_stock(self, name: str, language: str | None = None) -> StockVoice | None:
        """The voice of its own that a name means, in any case, or None. language: for names that leave it open."""
        return next((voice for voice in self.voices if voice.name.lower() == name.strip().lower()), None)


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
    watermark: bool = False  # whether the audio is to be marked as made by a machine


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


@dataclass(frozen=True, eq=False)
class Fragment:
    """A part of a passage that is heard while the rest is still being made; the parts are the passage, in order.

    The last one has the words of all of them, timed from the first sample of the first.
    """

    index: int
    clip: Clip
    last: bool = False
    words: tuple[Word, ...] = ()


Cancelled = Callable[[], bool]
"""True once the work is no longer wanted; an engine asks it several times a second and then stops by raising
`errors.Cancelled`."""


class Engine(Protocol):
    """What the child process drives. One call at a time."""

    info: EngineInfo

    def warm(self, tasks: frozenset[str]) -> None:
        """Load all that these of TASKS need, so that the next request does not wait for it. Raises ModelLoadError."""

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
        watermark: bool = False,
    ) -> Iterator[Samples]:
        """Say a recording again in the target's voice.

        blocks: mono (n,) at `rate` Hz, any sizes, from any length of recording: memory stays flat.
        chunk_s, overlap_s: the windows to work in and how far neighbours overlap; no seam may be heard.
        Yields mono (n,) at info.rate; as long as the input to the sample (after the change of rate).
        """


@dataclass(frozen=True, eq=False)
class Speech:
    """A passage for a `Crowd` to say.

    live: give it in Fragments, as soon as may be. lane: lower ones come first. rank: how many passages of the same
    caller stand before it; 0 is the one that somebody waits for.
    """

    passage: Passage
    reference: Reference | None
    live: bool = False
    lane: int = 0
    rank: int = 0


@dataclass(frozen=True, eq=False)
class Conversion:
    """A recording for a `Crowd` to say again; see `Engine.convert`. blocks may wait for its input: the engine reads it
    in a thread of its own, and no further ahead than it has to. It raises `errors.Cancelled` once it was dropped."""

    blocks: Iterator[Samples]
    rate: int
    target: Reference
    chunk_s: float
    overlap_s: float
    watermark: bool = False
    lane: int = 0


@dataclass(frozen=True)
class Finished:
    """Nothing more comes of a conversion."""


Outcome = Piece | Fragment | Samples | Finished | PlusError
"""Of a Speech: one Piece, or if it is live Fragments up to the last. Of a Conversion: Samples, then Finished. Either
may end with a PlusError instead."""


class Crowd(Protocol):
    """An engine that works on many things at once, a little of each in turn. Tickets are the driver's numbers."""

    info: EngineInfo
    rows: int
    """How many things it takes in at once."""
    wake: Callable[[], None]
    """Set by the driver. Called, in any thread, when an idle engine has something to do again."""

    def warm(self, tasks: frozenset[str]) -> None:
        """As `Engine.warm`."""

    def speak(self, ticket: int, speech: Speech) -> None:
        """Take it in. Never raises: what is wrong with it is an outcome."""

    def convert(self, ticket: int, conversion: Conversion) -> None:
        """Take it in, as `speak`."""

    def drop(self, ticket: int) -> None:
        """It is not wanted any more: nothing comes of it, and what it held is free. Unknown tickets are ignored."""

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do until somebody brings something; a conversion may also wait for its input."""

    def step(self) -> Iterable[tuple[int, Outcome]]:
        """Do a little, of what is most urgent, and give what has come of it: tens of milliseconds, at most seconds."""
