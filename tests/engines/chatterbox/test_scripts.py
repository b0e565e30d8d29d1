"""Promises of the scripts that are rewritten, with stand-ins for the packages that do it."""

import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from unicodedata import normalize

import pytest

from chatterbox_plus.engines.chatterbox import scripts
from chatterbox_plus.errors import MissingExtra, ModelLoadError
from parity import vocabularies

MODULES = ("pykakasi", "dicta_onnx", "silero_stress", "spacy_pkuseg")


@pytest.fixture(autouse=True)
def no_packages(monkeypatch) -> None:
    """None of the packages is here, whatever the machine has, until a test puts a stand-in there."""
    for name in MODULES:
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(scripts, "find_spec", lambda name: None if name in MODULES else find_spec(name))
    monkeypatch.setenv("PKUSEG_HOME", "/nowhere")
    for made in (scripts._kakasi, scripts._accentor, scripts._pointer, scripts._cutter):
        made.cache_clear()


@pytest.fixture
def folder(tmp_path) -> Path:
    vocabularies.write_multilingual(tmp_path)
    return tmp_path


def put(monkeypatch, name: str, **contents: object) -> None:
    module = ModuleType(name)
    module.__dict__.update(contents)
    monkeypatch.setitem(sys.modules, name, module)


def test_chinese_becomes_keys_and_a_number_where_several_share_them(folder) -> None:
    assert scripts.rewritten("日a曰、国龘", "zh", folder) == (
        "[cj_a][cj_.]a[cj_a][cj_1][cj_.]、[cj_w][cj_m][cj_g][cj_i][cj_.]龘"
    )


def test_of_two_ways_to_type_a_character_the_last_counts(tmp_path) -> None:
    (tmp_path / scripts.CANGJIE_FILE).write_text('["日\\ta\\tx", "月\\tb", "日\\tb"]', "utf-8")
    assert scripts.rewritten("日月", "zh", tmp_path) == "[cj_b][cj_1][cj_.][cj_b][cj_.]"


def test_the_table_of_chinese_characters_is_named_where_it_is_missing_or_damaged(tmp_path) -> None:
    with pytest.raises(ModelLoadError, match=r"Cangjie5_TC\.json.*missing"):
        scripts.rewritten("日", "zh", tmp_path)
    for content in ("", "{", '["日"]', "[1]", "3"):
        (tmp_path / scripts.CANGJIE_FILE).write_text(content, "utf-8")
        with pytest.raises(ModelLoadError, match=r"Cangjie5_TC\.json.*damaged"):
            scripts.rewritten("日", "zh", tmp_path)


def test_chinese_words_are_set_apart_where_the_package_and_its_model_are_here(folder, monkeypatch) -> None:
    put(monkeypatch, "spacy_pkuseg", pkuseg=lambda model: SimpleNamespace(cut=lambda text: [text[:2], text[2:]]))
    assert " " not in scripts.rewritten("日日日", "zh", folder)
    assert "has no model" in (scripts.remark("zh", folder) or "")
    (folder / "spacy_ontonotes").mkdir()
    (folder / "spacy_ontonotes" / "weights.npz").touch()
    assert scripts.rewritten("日日日", "zh", folder) == "[cj_a][cj_.]" * 2 + " [cj_a][cj_.]"
    assert scripts.remark("zh", folder) is None


def test_kanji_are_read_and_a_blank_is_put_before_ha_and_he(folder, monkeypatch) -> None:
    parts = [("彼", "かれ"), ("は", "は"), ("母", "はは"), ("へ", "へ"), ("ｶﾞ", "が"), ("学校", "がっこう")]
    put(
        monkeypatch,
        "pykakasi",
        kakasi=lambda: SimpleNamespace(convert=lambda text: [{"orig": a, "hira": b} for a, b in parts]),
    )
    expected = normalize("NFKD", "かれは ははへガがっこう")
    assert scripts.rewritten("彼は母へガ学校", "ja", folder) == expected
    assert scripts.lost("𠮷野家", "ja") == ["𠮷"]


def test_kanji_without_the_package_are_an_error_that_says_what_to_install(folder) -> None:
    with pytest.raises(MissingExtra, match=r"pykakasi: pip install 'chatterbox-plus\[japanese\]'"):
        scripts.rewritten("漢字", "ja", folder)
    assert scripts.needs("ja") == "pykakasi"


def test_kana_alone_needs_nothing(folder) -> None:
    assert scripts.rewritten("かな、カナ", "ja", folder) == "かな、カナ"


def test_korean_is_read_by_its_letters(folder) -> None:
    assert scripts.rewritten(normalize("NFKD", " 각하 "), "ko", folder) == "\u1100\u1161\u11a8\u1112\u1161"


def test_hebrew_with_points_needs_nothing(folder) -> None:
    pointed = normalize("NFKD", "שָׁלוֹם")
    assert scripts.rewritten(pointed, "he", folder) == pointed
    scripts.require("Hello 5", "he")


def test_hebrew_without_points_needs_a_package_and_its_model(folder, monkeypatch) -> None:
    with pytest.raises(MissingExtra, match=r"chatterbox-plus\[hebrew\]"):
        scripts.require("שלום", "he")
    put(monkeypatch, "dicta_onnx", Dicta=lambda path: SimpleNamespace(add_diacritics=lambda text: f"{path}: {text}"))
    scripts.require("שלום", "he")
    with pytest.raises(MissingExtra, match=r"dicta\*\.onnx"):
        scripts.rewritten("שלום", "he", folder)
    (folder / "dicta-1.0.int8.onnx").touch()
    assert scripts.rewritten("שלום", "he", folder) == f"{folder / 'dicta-1.0.int8.onnx'}: שלום"


def test_russian_stress_is_an_acute_but_never_on_yo(folder, monkeypatch) -> None:
    asked = []

    def accentor(text: str, *, stress_single_vowel: bool) -> str:
        asked.append((text, stress_single_vowel))
        return text.replace("ё", "+ё").replace("замок", "з+амок").replace("да", "да")

    put(monkeypatch, "silero_stress", load_accentor=lambda: accentor)
    put(monkeypatch, "torch", get_num_threads=lambda: 2, set_num_threads=lambda n: asked.append(n))
    monkeypatch.setattr(sys.modules["torch"], "is_grad_enabled", lambda: True, raising=False)
    monkeypatch.setattr(sys.modules["torch"], "set_grad_enabled", asked.append, raising=False)
    spoken = scripts.rewritten(normalize("NFKD", "ещё замок, а+у"), "ru", folder)
    assert normalize("NFC", spoken) == "ещё за\u0301мок, а+у"
    assert asked == [2, True, ("ещё замок, а", False), ("у", False)]  # torch's threads are as before


def test_russian_whose_stress_is_marked_is_left_alone(folder, monkeypatch) -> None:
    put(monkeypatch, "silero_stress")
    assert scripts.rewritten("молоко\u0301", "ru", folder) == "молоко\u0301"


def test_russian_without_the_package_is_read_and_remarked_on(folder) -> None:
    assert scripts.rewritten("замок", "ru", folder) == "замок"
    assert "chatterbox-plus[russian]" in (scripts.remark("ru", folder) or "")
    assert scripts.needs("ru") is None


def test_other_languages_need_nothing_and_stay_as_they_are(folder) -> None:
    for language in ("en", "ar", "hi", "tr"):
        assert scripts.needs(language) is scripts.remark(language, folder) is None
        assert scripts.rewritten("漢字 שלום", language, folder) == "漢字 שלום"
