"""What the members of the Chatterbox family can do, and what upstream does differently for each. Needs no PyTorch.

Numbers: upstream's `tts.py`, `mtl_tts.py`, `tts_turbo.py`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from chatterbox_plus.engines.base import EngineInfo, StockVoice
from chatterbox_plus.engines.chatterbox import scripts
from chatterbox_plus.engines.chatterbox.languages import OTHER_CODES, PASSAGE_CHARS, TAGS

RATE = 24_000  # Hz, of all the family's speech
_TAIL = (4299,) * 3  # of the speech token of silence: upstream ends with them what Turbo and Nano say
REVISION = "2"  # of our own part: another one for every change of the sound


@dataclass(frozen=True)
class Family:
    """One architecture with its habits.

    prompt_s, prompt_tokens: how much of a reference the token model hears. lufs: the loudness references are brought to
    first; None: they are taken as they are. tail: tokens put behind what was generated. cut_last: whether the sound of
    the last token is noise and left out. tags: whether it performs marks such as [laugh]. defaults: the model options
    and what they are where nobody says otherwise. reference_s: from where on it knows a voice well.
    """

    name: str
    title: str
    defaults: Mapping[str, float]
    prompt_s: float
    prompt_tokens: int
    lufs: float | None = None
    tail: tuple[int, ...] = ()
    cut_last: bool = False
    meanflow: bool = False
    tags: bool = False
    reference_s: float = 6.0


_LLAMA = MappingProxyType(
    {
        "temperature": 0.8,
        "cfg_weight": 0.5,
        "exaggeration": 0.5,
        "min_p": 0.05,
        "top_p": 1.0,
        "repetition_penalty": 1.2,
        "steps": 10,
    }
)
_GPT2 = MappingProxyType({"temperature": 0.8, "top_k": 1000, "top_p": 0.95, "repetition_penalty": 1.2, "steps": 2})

FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        family.name: family
        for family in (
            Family("english", "Chatterbox model", _LLAMA, 6, 150),
            Family("multilingual", "multilingual Chatterbox model", _LLAMA, 6, 150, cut_last=True),
            Family("turbo", "Turbo model", _GPT2, 15, 375, -27.0, _TAIL, meanflow=True, tags=True, reference_s=5.0),
            Family("nano", "Nano model", _GPT2, 15, 375, -27.0, _TAIL, meanflow=True, tags=True, reference_s=5.0),
        )
    }
)


def options_of(family: str | None) -> Mapping[str, float]:
    """The model options of a family and their defaults; None, of engines that are no Chatterbox models: none."""
    return {} if family is None else FAMILIES[family].defaults


def sounds_of(family: str | None) -> tuple[str, ...]:
    """The marks in a text that a family performs."""
    return TAGS if family is not None and FAMILIES[family].tags else ()


class ChatterboxInfo(EngineInfo):
    """Knows for which scripts a package is missing here."""

    def check_text(self, text: str, language: str) -> None:
        scripts.require(text, language)


def describe(
    name: str,
    family: str,
    languages: Sequence[str],
    *,
    revision: str,
    has_voice: bool,
    marks_audio: bool,
    remarks: Mapping[str, str] = MappingProxyType({}),
    precision: str = "auto",
) -> ChatterboxInfo:
    """What a model of a family can do.

    revision: of its files. has_voice: whether a voice came with it. marks_audio: whether the watermarker is installed.
    remarks: see `EngineInfo`. precision: how its numbers are rounded, which is heard if only just.
    """
    kind = FAMILIES[family]
    own = StockVoice("default", "the voice that comes with the model", "en" if "en" in languages else languages[0])
    return ChatterboxInfo(
        name=name,
        rate=RATE,
        languages=tuple(languages),
        voices=(own,) if has_voice else (),
        uses=frozenset(kind.defaults),
        estimates_word_times=True,
        preview=False,
        revision=f"{REVISION}-{revision}-{precision}",
        title=kind.title if name == family else f"{name} model",
        tags={tag: code for tag, code in OTHER_CODES.items() if code in languages},
        passage_chars=PASSAGE_CHARS,
        default_voice=has_voice,
        loads_late=True,
        crowd=True,
        sounds=sounds_of(family),
        reference_s=kind.reference_s,
        marks_audio=marks_audio,
        remarks=remarks,
    )
