"""Promises of what a model reads: upstream's punctuation and ids, on vocabularies made for the tests."""

import json
from pathlib import Path

import pytest

from tests.needs import missing

try:
    import tokenizers  # noqa: F401
except ModuleNotFoundError:
    missing("the package tokenizers")

from chatterbox_plus.engines.chatterbox import languages
from chatterbox_plus.engines.chatterbox.languages import TAGS
from chatterbox_plus.engines.chatterbox.reading import TextReader, normalise, open_reader
from chatterbox_plus.errors import InvalidOption, ModelLoadError
from parity import vocabularies

FAMILIES = ("english", "multilingual", "turbo")

# text, and what upstream 0.1.7 makes of it: tts.punc_norm, mtl_tts.punc_norm, tts_turbo.punc_norm
NORMALISED = [
    (
        "hello... it's 5:30 — “quite” late; no?",
        'Hello,  it\'s 5,30 - "quite" late,  no?',
        'Hello,  it\'s 5,30 - "quite" late,  no?',
        'Hello... it\'s 5,30 - "quite" late; no?',
    ),
    ("a  - b ; , c…", "A, b, , c,", "A, b, , c,", "A - b ;, c,"),
    (" leading blank", "leading blank.", "leading blank.", "leading blank."),
    ("ßtraße", "SStraße.", "SStraße.", "SStraße."),
    ("「はい」", "「はい」.", "「はい」.", "「はい」."),
    ("そうです。", "そうです。.", "そうです。", "そうです。."),
    ("[laugh]", "[laugh].", "[laugh].", "[laugh]."),
    ("‘a’ – b:", "'a' - b,", "'a' - b,", "'a' - b,"),
    (" \n ", ".", ".", "."),
]

# Upstream 0.1.7's ids of the same vocabularies (EnTokenizer, MTLTokenizer, AutoTokenizer, each after its punc_norm);
# Chinese there without a segmenter, Russian without a stresser.
IDS = [
    ("english", "en", "Hello there, world!", [34, 57, 552, 67, 2, 445, 57, 348, 10, 2, 454, 365, 56, 3]),
    (
        "english",
        "en",
        "wait... it's 5:30 — “late” ☃",
        [49, 351, 72, 10, 2, 2, 374, 7, 71, 2, 19, 10, 17, 14, 2, 11, 2, 4, 64, 53, 88, 4, 2, 1, 12],
    ),
    ("multilingual", "fr", "Où est l’été ?", [607, 1154, 65, 2, 937, 46, 2, 38, 7, 31, 66, 1855, 66, 2, 26]),
    ("multilingual", "de-CH", "Straße, ÄÖÜ", [602, 45, 930, 27, 57, 31, 10, 2, 27, 72, 41, 72, 47, 72, 12]),
    (
        "multilingual",
        "ko",
        "안녕하세요, 세계!",
        [612, 315, 323, 347, 306, 329, 364, 322, 323, 313, 328, 315, 335, 10, 2, 313, 328, 304, 330, 3],
    ),
    (
        "multilingual",
        "hi",
        "नमस्ते दुनिया।",
        [609, 266, 272, 282, 301, 262, 295, 2, 264, 289, 266, 287, 273, 286, 302, 12],
    ),
    (
        "multilingual",
        "zh",
        "你好，国。曰Hi",
        [622, 638, 637, 629, 623, 645, 637, 627, 623, 10, 646, 636, 630, 632, 623, 372, 624, 651, 623, 981, 12],
    ),
    ("multilingual", "ja", "こんにちは、カタカナ", [611, 393, 457, 417, 407, 421, 371, 471, 491, 471, 502, 12]),
    ("multilingual", "he", "שָׁלוֹם", [608, 178, 143, 151, 165, 158, 144, 166, 12]),
    ("multilingual", "ru", "Ёлка и йод", [618, 109, 72, 1046, 104, 2, 112, 2, 112, 70, 1291, 12]),
    (
        "turbo",
        "en",
        "oh [laugh] no; [clear throat] a [bracketed] word",
        [727, 220, 50275, 220, 1894, 26, 220, 50267, 2824, 220, 58, 65, 535, 66, 1450, 83, 1953, 60, 655, 2987, 67, 13],
    ),
    ("turbo", "en", "Ünïcödé 😀", [127, 250, 77, 127, 107, 66, 127, 114, 67, 127, 102, 220, 172, 253, 246, 222, 13]),
]


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    found = {family: tmp_path_factory.mktemp(family) for family in FAMILIES}
    vocabularies.write_english(found["english"])
    vocabularies.write_multilingual(found["multilingual"])
    vocabularies.write_gpt2(found["turbo"])
    return found


@pytest.fixture(scope="module")
def readers(folders) -> dict[str, TextReader]:
    return {family: open_reader(family, folder) for family, folder in folders.items()}


@pytest.fixture(autouse=True)
def no_extras(monkeypatch) -> None:
    """The ids are those of a machine without the packages for Chinese and Russian."""
    monkeypatch.setattr("chatterbox_plus.engines.chatterbox.scripts._installed", lambda language: False)


@pytest.mark.parametrize("text, english, multilingual, turbo", NORMALISED)
def test_punctuation_is_what_upstream_makes_of_it(text, english, multilingual, turbo) -> None:
    assert [normalise(text, family) for family in FAMILIES] == [english, multilingual, turbo]


def test_an_empty_text_is_no_sentence_of_ours() -> None:
    assert [normalise("", family) for family in FAMILIES] == ["."] * 3


@pytest.mark.parametrize("family, language, text, ids", IDS)
def test_the_ids_are_upstreams(readers, family, language, text, ids) -> None:
    assert readers[family].encode(text, language) == ids


def test_the_one_file_form_of_gpt2_gives_the_same_ids(readers, tmp_path) -> None:
    vocabularies.write_gpt2(tmp_path, single_file=True)
    text = "Well [sigh], that's 1,000 more [laugh]"
    assert open_reader("nano", tmp_path).encode(text) == readers["turbo"].encode(text)


def test_the_tags_come_from_the_models_files(readers, tmp_path) -> None:
    assert readers["turbo"].tags == TAGS
    assert readers["english"].tags == ()
    vocabularies.write_gpt2(tmp_path, size=400)
    (tmp_path / "tokenizer_config.json").write_text("{}")
    (tmp_path / "added_tokens.json").write_text(json.dumps({"[hum]": 401, "[laugh]": 400}))
    reader = open_reader("turbo", tmp_path)
    assert reader.tags == ("[laugh]", "[hum]")
    assert 401 in reader.encode("a [hum] b")


def test_a_tag_is_one_id_and_an_unknown_word_in_brackets_is_text(readers) -> None:
    ids = readers["turbo"].encode("[laugh]")
    assert ids[0] >= 50257
    assert max(readers["turbo"].encode("[lough]")) < 50257


def test_every_id_has_a_row_in_the_models_table(readers) -> None:
    sizes = {"english": 704, "multilingual": 2454, "turbo": 50276}
    assert {family: reader.largest_id + 1 for family, reader in readers.items()} == sizes


def test_what_the_vocabulary_lacks_is_told_once_and_in_order(readers) -> None:
    assert readers["english"].unknown("☃ Łódź, ☃ ok") == ["☃", "Ł", "ó", "ź"]
    assert readers["multilingual"].unknown("☃ Łódź, ☃ ok", "pl") == ["☃"]
    assert readers["turbo"].unknown("☃ Łódź") == []


def test_a_language_the_model_does_not_speak_is_refused(readers) -> None:
    with pytest.raises(InvalidOption, match="'th-TH'"):
        readers["multilingual"].encode("a", "th-TH")


def test_a_tag_of_a_language_means_the_models_own() -> None:
    assert [languages.language_code(tag) for tag in ("pt-BR", "cmn_Hans", "nb", "iw")] == ["pt", "zh", "no", "he"]


def test_a_passage_is_shorter_where_characters_say_more() -> None:
    assert languages.passage_chars("en-GB") == languages.passage_chars("xx") == 300
    assert languages.passage_chars("cmn") == languages.passage_chars("zh-TW") < languages.passage_chars("ko") < 300


@pytest.mark.parametrize(
    "family, name", [("english", "tokenizer.json"), ("multilingual", "grapheme_mtl_merged_expanded_v1.json")]
)
@pytest.mark.parametrize("content", [None, b"", b'{"model": ', b"[]", b"\xff\xfe", b'{"model": {}}'])
def test_a_missing_or_damaged_vocabulary_is_named(tmp_path, family, name, content) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelLoadError, match=name):
        open_reader(family, tmp_path)


@pytest.mark.parametrize("name", ["vocab.json", "merges.txt"])
def test_a_missing_half_of_gpt2_is_named(tmp_path, name) -> None:
    vocabularies.write_gpt2(tmp_path, size=400)
    (tmp_path / name).unlink()
    with pytest.raises(ModelLoadError, match=name):
        open_reader("turbo", tmp_path)


def test_tags_of_another_vocabulary_are_refused(tmp_path) -> None:
    vocabularies.write_gpt2(tmp_path, size=400)
    vocab = json.loads((tmp_path / "vocab.json").read_text("utf-8"))
    (tmp_path / "vocab.json").write_text(json.dumps(vocab | {"one more": 400}), "utf-8")
    with pytest.raises(ModelLoadError, match=r"vocab\.json"):
        open_reader("turbo", tmp_path)


def test_a_vocabulary_of_something_else_is_refused(tmp_path) -> None:
    vocabularies.write_english(tmp_path)
    path = tmp_path / "tokenizer.json"
    path.write_text(path.read_text("utf-8").replace("[START]", "[BEGIN]"), "utf-8")
    with pytest.raises(ModelLoadError, match=r"\[START\]"):
        open_reader("english", tmp_path)
