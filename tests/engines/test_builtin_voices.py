"""What the built-in engine says it can do, without starting it."""

import subprocess
import sys
from pathlib import Path

import pytest

from chatterbox_plus.engines.builtin import voices
from chatterbox_plus.errors import InvalidOption


def test_describing_loads_no_gpl_library() -> None:
    """The server asks for voices and languages; espeak-ng's code stays out of its process."""
    code = """
import psutil
from chatterbox_plus.engines.builtin import voices
assert voices.describe().voices and voices.resolve_language("zh") == "cmn" and voices.resolve_stock("Alicia", "fr")
print([m.path for m in psutil.Process().memory_maps() if "espeak" in m.path])
"""
    if sys.platform not in ("linux", "win32"):
        pytest.skip("the maps of a process are not to be had here")
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_every_language_has_a_voice_and_english_has_its_variants() -> None:
    info = voices.describe()
    names = [voice.name for voice in info.voices]
    assert len(info.languages) > 130
    assert set(info.languages) <= set(names)
    assert sum(name.startswith("en+") for name in names) > 100
    assert len(set(names)) == len(names)
    assert {voice.language for voice in info.voices} == set(info.languages)


@pytest.mark.parametrize(
    ("tag", "code"),
    [
        ("en", "en"),
        ("en-US", "en-us"),
        ("EN_us", "en-us"),
        ("en-GB", "en"),
        ("en-AU", "en"),
        ("zh", "cmn"),
        ("zh-CN", "cmn"),
        ("zh-Hant-HK", "yue"),
        ("zh-Hans", "cmn"),
        ("pt", "pt"),
        ("pt-BR", "pt-br"),
        ("no", "nb"),
        ("nn", "nb"),
        ("fr-FR", "fr"),
        ("fr-CA", "fr"),
        ("de-AT", "de"),
        ("es-MX", "es-419"),
        ("sr-Latn-RS", "sr"),
        ("iw", "he"),
    ],
)
def test_tags_find_their_language(tag: str, code: str) -> None:
    assert voices.resolve_language(tag) == code


@pytest.mark.parametrize("tag", ["xx", "klingon", "", "-", "en-john", "../en", "e n"])
def test_an_unknown_language_is_refused_with_a_hint(tag: str) -> None:
    with pytest.raises(InvalidOption, match="en, "):
        voices.resolve_language(tag)


@pytest.mark.parametrize(
    ("name", "language", "full", "gender"),
    [
        ("en+f3", None, "en+f3", "female"),
        ("EN-us+F3", None, "en-us+f3", "female"),
        ("f3", "de", "de+f3", "female"),
        ("Alicia", "fr", "fr+Alicia", "female"),
        ("alicia", None, "en+Alicia", "female"),
        ("zh+m1", None, "cmn+m1", "male"),
        ("Mr serious", "en", "en+Mr serious", "male"),
        ("mr_serious", "en", "en+Mr serious", "male"),
        ("pt-BR", None, "pt-br", "male"),
        ("ja", "en", "ja", "male"),
    ],
)
def test_names_find_their_voice(name: str, language: str | None, full: str, gender: str) -> None:
    voice = voices.resolve_stock(name, language)
    assert voice is not None
    assert (voice.name, voice.gender) == (full, gender)


@pytest.mark.parametrize("name", ["", "+", "en+", "+f3", "en+nobody", "speaker1", "xx+f3", "en+../f3", "it-speaker"])
def test_other_names_are_no_voice(name: str) -> None:
    assert voices.resolve_stock(name, "en") is None


@pytest.mark.parametrize(
    ("language", "voice", "file"),
    [
        ("en", None, "gmw/en"),
        ("fr", "en+f3", "roa/fr+f3"),  # the passage's language wins
        ("en", "en-us+f3", "gmw/en-US+f3"),  # a voice of the same language says which kind of it
        ("en-us", "Alicia", "gmw/en-US+Alicia"),
    ],
)
def test_the_passages_language_wins(language: str, voice: str | None, file: str) -> None:
    assert voices.voice_file(language, voice) == file


def test_nothing_of_this_machine_is_in_what_is_described() -> None:
    assert str(Path(voices.__file__).parent.anchor + "home") not in repr(voices.describe())
    assert "site-packages" not in repr(voices.describe())
