"""The voices there are, as Wyoming's clients list and name them.

Home Assistant lists the voices of a language and then sends back nothing but the voice's name. So a name says the
language too where a voice can speak several: `narrator.wav@de` is the recording narrator.wav, speaking German.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from wyoming.info import Attribution, Info, TtsProgram, TtsVoice

from chatterbox_plus import __version__
from chatterbox_plus.engines.base import EngineInfo
from chatterbox_plus.errors import BadRequest, NotFound, PlusError
from chatterbox_plus.synthesis.plan import DEFAULT_LANGUAGE
from chatterbox_plus.synthesis.studio import Studio

PROGRAM = "chatterbox-plus"
_OURS = Attribution("Chatterbox Plus", "https://pypi.org/project/chatterbox-plus/")
_MARK = "@"  # between a voice's name and a language


@dataclass(frozen=True)
class Asked:
    """Who is to speak: what a client said of it. None: whoever speaks by default; what the voice itself speaks."""

    name: str | None = None
    language: str | None = None


def asked(data: dict[str, Any]) -> Asked:
    """The voice that an event names. Raises BadRequest, and NotFound for a speaker: no voice here has several."""
    voice = data.get("voice") or {}
    if not isinstance(voice, dict):
        raise BadRequest("voice must be an object with a name or a language", param="voice")
    found = [voice.get(part) or None for part in ("name", "language", "speaker")]
    for part, value in zip(("name", "language", "speaker"), found, strict=True):
        if not isinstance(value, str | None):
            raise BadRequest(f"the {part} of a voice must be a text", param="voice")
    name, language, speaker = found
    if speaker:
        raise NotFound(f"voice not found: {speaker}: voices here have no speakers, each has a name", param="voice")
    return Asked(name, language)


def resolved(studio: Studio, voice: Asked) -> dict[str, str]:
    """The same as options of speech. Raises what is wrong with the name of a stored voice."""
    name, language = voice.name, voice.language
    if name and _MARK in name and studio.voices.stored(name) is None:
        name, _, language = name.rpartition(_MARK)
    return {
        option: value
        for option, value in (("reference_audio_filename", name), ("language", language))
        if value
    }  # fmt: skip


def describe(studio: Studio, languages: Sequence[str] = ()) -> Info:
    """What Home Assistant asks first. languages: that stored voices are offered in; none: all that can be spoken."""
    info = studio.engines.info()
    spoken = [info.find_language(tag) or tag for tag in languages] or list(_languages(studio, info))
    voices = [voice for found in _stored(studio, info, spoken) for voice in found]
    voices += [_voice(v.id, v.name, _tags(info, v.language)) for v in studio.voice_list() if v.kind == "stock"]
    program = TtsProgram(
        name=PROGRAM,
        attribution=_OURS,
        installed=True,
        description="Chatterbox Plus",
        version=__version__,
        voices=voices,
        supports_synthesize_streaming=True,
    )
    return Info(tts=[program])


def _stored(studio: Studio, info: EngineInfo, spoken: Sequence[str]) -> Iterator[list[TtsVoice]]:
    """Recordings, and the voice of a model that has one and no list of them; in every language that they can speak."""
    own: dict[str, str] = {} if info.voices or not info.default_voice else {"default": DEFAULT_LANGUAGE}
    for name in studio.library.voices.files():
        with suppress(PlusError):  # deleted this moment
            language = studio.library.voice(name).default_parameters.get("language")
            own[name] = language if isinstance(language, str) else DEFAULT_LANGUAGE
    for name, language in own.items():
        first = info.find_language(language) or language
        yield [
            _voice(name, name, _tags(info, first)),
            *(_voice(f"{name}{_MARK}{other}", name, _tags(info, other)) for other in spoken if other != first),
        ]


def _languages(studio: Studio, info: EngineInfo) -> Iterable[str]:
    """Those of the model that `auto` means; of all neural ones that are here, if it is one of them."""
    found = dict.fromkeys(info.languages)
    if not info.preview:
        for model in studio.engines.installed():
            with suppress(PlusError):  # its files are damaged: whoever asks for it is told
                if not model.preview:
                    found |= dict.fromkeys(studio.engines.info(model.name).languages)
    return found


def _tags(info: EngineInfo, language: str | None) -> list[str]:
    """A language as clients may look for it: cmn is zh, too."""
    code = language or DEFAULT_LANGUAGE
    return [code, *(tag for tag, meant in info.tags.items() if meant == code and tag != code and len(tag) == 2)]


def _voice(name: str, shown: str, languages: list[str]) -> TtsVoice:
    return TtsVoice(
        name=name, attribution=_OURS, installed=True, description=shown, version=__version__, languages=languages
    )
