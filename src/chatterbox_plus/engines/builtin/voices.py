"""What espeak-ng can speak, read from its data files: the library itself is not loaded, nothing is started.

A voice is `<language>` (the language's own) or `<language>+<variant>`: each of about 100 variants changes the voice of
any language. `describe` lists the variants for English only; `resolve_stock` takes every combination.
"""

from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path

import espeakng_loader

from chatterbox_plus.engines.base import EngineInfo, StockVoice
from chatterbox_plus.engines.tags import find_tag
from chatterbox_plus.errors import InvalidOption, ModelLoadError

RATE = 24_000  # Hz, of all that the built-in engine gives
DEFAULT_LANGUAGE = "en"
_REVISION = "1"  # of our own part: another one for every change of the sound

# Tags in use that espeak-ng's files do not name: macrolanguages, old codes, regions that mean another language.
_ALIASES = {
    "zh-hk": "yue", "zh-mo": "yue", "zh-yue": "yue", "zh-hak": "hak", "zh-hant-hk": "yue",
    "nn": "nb", "iw": "he", "in": "id", "mo": "ro", "sh": "hr", "prs": "fa", "ckb": "ku", "arb": "ar", "jp": "ja",
    "es-us": "es-419", "en-ca": "en-us",
}  # fmt: skip
_FEMALE_FROM_HZ = 140  # a variant that does not say, with this lowest pitch or a higher one, is not called male


@dataclass(frozen=True)
class _Language:
    code: str  # the file's name in lower case: unique, and a BCP 47 tag
    label: str  # "English (America)"
    file: str  # below lang/: "gmw/en-US"
    tags: tuple[str, ...]  # what the file says it is for: "en-us", "en"


@dataclass(frozen=True)
class _Variant:
    file: str  # "f3"
    label: str  # "female3"
    gender: str | None


class BuiltinInfo(EngineInfo):
    """Finds voices by rule: any variant goes with any language, more than anybody would list."""

    def resolve_stock(self, name: str, language: str | None = None) -> StockVoice | None:
        return resolve_stock(name, language)


@cache
def describe() -> BuiltinInfo:
    """What the built-in engine can do. Raises ModelLoadError if espeak-ng's data is not there."""
    own = [_own(language) for language in _languages().values()]
    english = _languages()[DEFAULT_LANGUAGE]
    return BuiltinInfo(
        name="builtin",
        title="built-in engine",
        tags=_tags(),
        rate=RATE,
        languages=tuple(_languages()),
        voices=(*own, *(_with(english, variant) for variant in _variants().values())),
        uses=frozenset(),
        estimates_word_times=False,
        preview=True,
        joins_sentences=False,  # espeak-ng takes no breath between sentences of lower-case text
        seeded=False,
        revision="-".join([_REVISION, version("espeakng-loader"), version("pyworld-prebuilt")]),
    )


def resolve_language(tag: str) -> str:
    """The code of the language that a BCP 47 tag asks for, in any case: en-US -> en-us, zh -> cmn, de-AT -> de.

    Raises InvalidOption for a language espeak-ng does not have.
    """
    return describe().resolve_language(tag)


def resolve_stock(name: str, language: str | None = None) -> StockVoice | None:
    """The voice a name means, in any case, or None.

    name: "fr", "fr+f3", or a variant alone ("f3", "Alicia"), which then speaks `language` (None: English).
    Raises InvalidOption for an unknown `language`.
    """
    before, plus, after = name.strip().partition("+")
    if plus:
        code, variant = _find_language(before), _find_variant(after)
        return _with(_languages()[code], variant) if code and variant else None
    if code := _find_language(name):
        return _own(_languages()[code])
    if variant := _find_variant(name):
        return _with(_languages()[resolve_language(language or DEFAULT_LANGUAGE)], variant)
    return None


def voice_file(language: str, voice: str | None = None) -> str:
    """How espeak-ng itself calls what a passage asks for: ("fr", "en+f3") -> "roa/fr+f3".

    The passage's language wins; a voice of the same language (en, en-us) may say which kind of it.
    Raises InvalidOption if either is unknown.
    """
    code = resolve_language(language)
    stock = resolve_stock(voice, language) if voice else _own(_languages()[code])
    if stock is None:
        raise InvalidOption(f"the built-in engine has no voice {str(voice)[:50]!r}", param="voice")
    own, plus, variant = stock.name.partition("+")
    if own.split("-")[0] == code.split("-")[0]:
        code = own
    return _languages()[code].file + plus + variant


def _own(language: _Language) -> StockVoice:
    return StockVoice(language.code, language.label, language.code, "male")  # espeak-ng's own voices are all low


def _with(language: _Language, variant: _Variant) -> StockVoice:
    name, label = f"{language.code}+{variant.file}", f"{language.label}, {variant.label}"
    return StockVoice(name, label, language.code, variant.gender)


def _find_language(tag: str) -> str | None:
    return find_tag(tag, _tags())


def _find_variant(name: str) -> _Variant | None:
    return _variants().get(_key(name)) or next((v for v in _variants().values() if _key(v.label) == _key(name)), None)


def _key(name: str) -> str:
    return name.strip().lower().replace("_", " ")


@cache
def _data() -> Path:
    path = Path(espeakng_loader.__file__).parent / "espeak-ng-data"
    if not (path / "lang").is_dir():
        raise ModelLoadError("espeak-ng is not installed completely: install the package espeakng-loader again")
    return path


@cache
def _languages() -> dict[str, _Language]:
    """Code -> language, in the order of the codes. Three of 141 have no dictionary in the wheel: they cannot speak."""
    found = {}
    for path in sorted((_data() / "lang").rglob("*"), key=lambda path: path.name.lower()):
        if path.is_file():
            lines = _lines(path)
            code = path.name.lower()
            dictionary = next((rest for key, rest in lines if key == "dictionary"), code.split("-")[0]).split()[0]
            if (_data() / f"{dictionary}_dict").is_file():
                label = next((rest for key, rest in lines if key == "name"), code)
                tags = tuple(rest.split()[0].lower() for key, rest in lines if key == "language")
                found[code] = _Language(code, label, path.relative_to(_data() / "lang").as_posix(), tags)
    return found


@cache
def _tags() -> dict[str, str]:
    """Every tag -> the code of the language that it names. A file's own name wins over what other files claim."""
    tags = {code: code for code in _languages()} | _ALIASES
    for language in _languages().values():
        for tag in language.tags:
            tags.setdefault(tag, language.code)
    return tags


@cache
def _variants() -> dict[str, _Variant]:
    """Key -> variant, in the order of the names."""
    found = {}
    for path in sorted((_data() / "voices" / "!v").iterdir(), key=lambda path: path.name.lower()):
        lines = dict(reversed(_lines(path)))
        gender = lines.get("gender", "").lower().split()
        low_hz = float(lines.get("pitch", "82").split()[0])
        named = gender[0] if gender else "male" if low_hz < _FEMALE_FROM_HZ else None
        found[_key(path.name)] = _Variant(path.name, lines.get("name", path.name), named)
    return found


def _lines(path: Path) -> list[tuple[str, str]]:
    """The settings of a voice file: ("language", "en-us 2"), without comments. Some hold bytes of old encodings."""
    lines = []
    for line in path.read_text("utf-8", "replace").splitlines():
        key, _, rest = line.partition("//")[0].strip().partition(" ")
        if key and rest.strip():
            lines.append((key, rest.strip()))
    return lines
