"""Vocabularies with the official files' names, sizes and fixed ids; what stands between is made up, always the same."""

import json
import random
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from chatterbox_plus.engines.chatterbox.languages import LANGUAGES, TAGS

ENGLISH_SIZE, MULTILINGUAL_SIZE, GPT2_SIZE = 704, 2454, 50257

_SMALL = "abcdefghijklmnopqrstuvwxyz"
_PLAIN = _SMALL + "0123456789" + "!\"'(),-./:;?&%"
_CYRILLIC = "абвгдежзиклмнопрстуфхцчшщъыьэюя"
_RANGES = (  # small letters as NFKD leaves them, first and last of a run
    "àà øø œœ ßß ææ ıı łł đđ ¡¡ ¿¿ «« »»",
    "\u0300\u0304 \u0306\u030c \u0327\u0328 αω",  # accents, Greek
    "\u060c\u060c \u061f\u061f \u0621\u063a \u0640\u0652 א\u05ea \u05b0\u05bd \u05bf\u05c2",  # Arabic, Hebrew
    "\u0901\u0903 \u0905\u0939 \u093c\u094d \u0964\u0965",  # Devanagari
    "\u1100\u1112 \u1161\u1175 \u11a8\u11c2",  # Hangul
    "ぁゔ ァヺ ・ー 、。 「」 \u3099\u309a",  # Kana
)
# Characters whose keys are the same, as the official table has them, and some with keys of their own.
_CANGJIE = (
    "日\ta 曰\ta 月\tb 明\tab 木\td 林\tdd 本\tdm 中\tl 国\twmgi 國\twirm 文\tyk 你\tonf 好\tvnd 世\tpt 界\twll "
    "我\thqi 人\to 入\toh 大\tk 天\tmk 语\tivmmr 語\tyrmmr"
)


def write_english(folder: Path) -> None:
    """tokenizer.json: 704 ids, letters of both cases and parts of words."""
    letters = sorted(_PLAIN + _SMALL.upper())
    fixed = {0: "[STOP]", 1: "[UNK]", 2: "[SPACE]", 255: "[START]"}
    _write(folder / "tokenizer.json", _graphemes(fixed, letters, [_SMALL], ENGLISH_SIZE))


def write_multilingual(folder: Path) -> None:
    """grapheme_mtl_merged_expanded_v1.json, 2454 ids, and a Cangjie5_TC.json of some twenty characters."""
    tags = [f"[{code}]" for code in LANGUAGES] + [f"[cj_{key}]" for key in "." + _SMALL + "0123456789"]
    fixed = {0: "[STOP]", 1: "[UNK]", 2: "[SPACE]", 255: "[START]"} | dict(enumerate(tags, start=600))
    runs = [run for line in _RANGES for run in line.split()]
    letters = {chr(c) for run in runs for c in range(ord(run[0]), ord(run[1]) + 1)} | set(_PLAIN + _CYRILLIC)
    vocabulary = _graphemes(fixed, sorted(letters), [_SMALL, _CYRILLIC], MULTILINGUAL_SIZE)
    _write(folder / "grapheme_mtl_merged_expanded_v1.json", vocabulary)
    _write(folder / "Cangjie5_TC.json", _CANGJIE.split(" "))


def write_gpt2(folder: Path, *, size: int = GPT2_SIZE, single_file: bool = False) -> None:
    """Turbo's and Nano's: vocab.json, merges.txt and the tags behind them; single_file: tokenizer.json instead of both.

    size: without the tags. The files that only transformers needs are there too.
    """
    symbols = _byte_symbols()
    merges = list(_merges([_SMALL + _SMALL.upper() + "Ġ"], size - len(symbols) - 1, leading="Ġ"))
    words = [*symbols, *("".join(pair) for pair in merges), "<|endoftext|>"]
    vocab = {word: id for id, word in enumerate(words)}
    lines = [" ".join(pair) for pair in merges]
    flags = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False}
    added = {size - 1: {"content": "<|endoftext|>", "special": True, **flags}}
    added |= {id: {"content": tag, "special": False, **flags} for id, tag in enumerate(TAGS, start=size)}
    named = {"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"}
    config = {"add_prefix_space": False, "tokenizer_class": "GPT2Tokenizer", "model_max_length": 1024, **named}
    if single_file:
        model = {"type": "BPE", "unk_token": None, "vocab": vocab, "merges": lines}
        level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
        parts = {"pre_tokenizer": level, "decoder": level, "model": model}
        _write(
            folder / "tokenizer.json", {"added_tokens": [{"id": id} | token for id, token in added.items()], **parts}
        )
    else:
        _write(folder / "vocab.json", vocab)
        (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *lines, ""]), encoding="utf-8")
        _write(folder / "added_tokens.json", {tag: id for id, tag in enumerate(TAGS, start=size)})
    _write(folder / "special_tokens_map.json", named)
    _write(folder / "tokenizer_config.json", config | {"added_tokens_decoder": {str(k): v for k, v in added.items()}})


def _graphemes(fixed: dict[int, str], letters: Iterable[str], alphabets: Sequence[str], size: int) -> dict[str, Any]:
    """A file of the tokenizers library: fixed ids, then letters and pairs of them, as many as there is room for."""
    letters = list(letters)
    merges = list(_merges(alphabets, size - len(fixed) - len(letters)))
    others = iter([*letters, *("".join(pair) for pair in merges)])
    words = [fixed[id] if id in fixed else next(others) for id in range(size)]
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {
        "version": "1.0",
        "added_tokens": [{"id": id, "content": word, **flags} for id, word in sorted(fixed.items())],
        "pre_tokenizer": {"type": "Whitespace"},
        "model": {
            "type": "BPE",
            "unk_token": "[UNK]",
            "vocab": {word: id for id, word in enumerate(words)},
            "merges": [" ".join(pair) for pair in merges],
        },
    }


def _merges(alphabets: Sequence[str], count: int, *, leading: str = "") -> Iterator[tuple[str, str]]:
    """Pairs of known pieces, no result twice: all pairs of letters in a random order, then longer ones.

    leading: letters that only begin a piece.
    """
    draw = random.Random(5)
    pieces = [(a, b) for letters in alphabets for a in letters for b in letters if b not in leading]
    draw.shuffle(pieces)
    made = {a + b for a, b in pieces[:count]}
    yield from pieces[:count]
    halves = sorted(made)
    for _ in range(count - len(pieces)):
        pair = draw.choice(halves), draw.choice(halves)
        while "".join(pair) in made or pair[1][0] in leading:
            pair = draw.choice(halves), draw.choice(halves)
        made.add("".join(pair))
        yield pair


def _byte_symbols() -> list[str]:
    """A visible character for each of the 256 bytes, in the order of GPT-2's first 256 ids."""
    visible = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return [chr(b) for b in visible] + [chr(256 + i) for i in range(256 - len(visible))]


def _write(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False) + "\n", encoding="utf-8")
