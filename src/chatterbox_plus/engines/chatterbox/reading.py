"""From a text to the ids a model reads: punctuation it knows, its vocabulary, and nothing said twice or left out."""

import json
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers

from chatterbox_plus.engines.chatterbox import scripts
from chatterbox_plus.engines.chatterbox.languages import language_code
from chatterbox_plus.errors import ModelLoadError

START_ID, STOP_ID = 255, 0  # of the grapheme vocabularies; the caller puts them around the ids

# Upstream's punc_norm (tts.py, mtl_tts.py, tts_turbo.py): one after the other, in this order.
_MARKS = (
    ("...", ", "),
    ("…", ", "),
    (":", ","),
    (" - ", ", "),
    (";", ", "),
    ("—", "-"),
    ("–", "-"),
    (" ,", ","),
    ("“", '"'),
    ("”", '"'),
    ("‘", "'"),
    ("’", "'"),
)
_GPT2 = ("turbo", "nano", "gpt2")
_GPT2_READS = frozenset({"...", " - ", ";"})
_ENDS = (".", "!", "?", "-", ",")
_WIDE_ENDS = ("、", "，", "。", "？", "！")

_SPACE = "[SPACE]"
_FILES = {
    "english": ("tokenizer.json",),
    "multilingual": ("grapheme_mtl_merged_expanded_v1.json", "mtl_tokenizer.json"),  # v2 and v3; the first of 2025
}
_END_OF_TEXT = "<|endoftext|>"

_T = TypeVar("_T")


def normalise(text: str, family: str) -> str:
    """A text as the models saw theirs: a capital first, single blanks, plain marks, a mark at the end.

    Not to be done twice: what it makes of some marks it would change again. An empty text is ".", where upstream says
    a sentence of its own.
    """
    if text[:1].islower():
        text = text[0].upper() + text[1:]
    text = " ".join(text.split())
    for mark, plain in _MARKS:
        if family not in _GPT2 or mark not in _GPT2_READS:
            text = text.replace(mark, plain)
    text = text.rstrip(" ")
    return text if text.endswith(_ENDS + (_WIDE_ENDS if family == "multilingual" else ())) else f"{text}."


class TextReader:
    """What one model's vocabulary makes of a text. Made by `open_reader`."""

    def __init__(self, family: str, folder: Path, tokenizer: Tokenizer, tags: tuple[str, ...] = ()) -> None:
        self.family = family
        self.tags = tags  # in the order of their ids; (): the model knows none
        self.largest_id = max(tokenizer.get_vocab().values())  # the model's table of texts must have a row for it
        self._folder = folder
        self._tokenizer = tokenizer

    def encode(self, text: str, language: str = "en") -> list[int]:
        """The ids of a text as it was written, without start and stop; `normalise` is done here, once.

        language: a BCP 47 tag; only the multilingual model asks. Nothing is cut off at any length. Words in brackets
        that are no tags of the model are read as text. Raises InvalidOption for a language the model does not speak,
        MissingExtra or ModelLoadError where `scripts.rewritten` does.
        """
        ids: list[int] = self._tokenizer.encode(self._prepared(text, language)).ids
        return ids

    def unknown(self, text: str, language: str = "en") -> list[str]:
        """What of a text the model cannot read, each once, in order: its vocabulary lacks it. Raises as encode does."""
        if self.family in _GPT2:
            return []  # bytes: everything is read
        prepared = self._prepared(text, language)
        encoding = self._tokenizer.encode(prepared)
        known = bytearray(len(prepared))
        for token, (start, end) in zip(encoding.tokens, encoding.offsets, strict=True):
            if token != "[UNK]":
                known[start:end] = b"\1" * (end - start)
        missed = [c for c, is_known in zip(prepared, known, strict=True) if not is_known and not c.isspace()]
        if self.family == "multilingual":
            missed += scripts.lost(text, language_code(language))
        return list(dict.fromkeys(missed))

    def _prepared(self, text: str, language: str) -> str:
        text = normalise(text, self.family)
        if self.family in _GPT2:
            return text
        if self.family == "multilingual":
            code = language_code(language)
            plain = unicodedata.normalize("NFKD", text.lower())
            text = f"[{code}]{scripts.rewritten(plain, code, self._folder)}"
        return text.replace(" ", _SPACE)


def open_reader(family: str, folder: Path) -> TextReader:
    """Read a model's vocabulary from its folder. family: english, multilingual, or turbo, nano or gpt2.

    english: tokenizer.json; multilingual: grapheme_mtl_merged_expanded_v1.json; the others: tokenizer.json, or
    vocab.json and merges.txt, with the tags in tokenizer_config.json or added_tokens.json. Raises ModelLoadError,
    naming the file.
    """
    if family in _GPT2:
        return TextReader(family, folder, *_gpt2(folder))
    names = _FILES[family]
    path = next((folder / name for name in names if (folder / name).is_file()), folder / names[0])
    text = json.dumps(_json(path))
    tokenizer = _made(path, lambda: Tokenizer.from_str(text))
    for token, id in (("[STOP]", STOP_ID), ("[START]", START_ID)):
        if tokenizer.token_to_id(token) != id:
            raise ModelLoadError(f"{path.name} is no vocabulary of this model: {token} is not its number {id}")
    return TextReader(family, folder, tokenizer)


def _gpt2(folder: Path) -> tuple[Tokenizer, tuple[str, ...]]:
    """GPT-2's pieces and the tags behind them: the ids of transformers' AutoTokenizer of the same folder."""
    path = folder / "tokenizer.json"
    if path.is_file():
        whole = _json(path)
        vocab, merges = _made(path, lambda: (whole["model"]["vocab"], whole["model"]["merges"]))
    else:
        path, whole = folder / "vocab.json", {}
        vocab, merges = _json(path), _lines(folder / "merges.txt")
    config = _json(folder / "tokenizer_config.json", {})
    pairs = [merge.split(" ") if isinstance(merge, str) else merge for merge in merges]
    tokenizer = _made(path, lambda: Tokenizer(models.BPE(vocab, [(first, second) for first, second in pairs])))
    prefix = bool(config.get("add_prefix_space", False))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix)

    added = sorted(_added(folder, config, whole).items())
    tokenizer.add_special_tokens([_END_OF_TEXT])
    _made(path, lambda: tokenizer.add_tokens([AddedToken(**token) for _, token in added]))
    for id, token in added:
        if tokenizer.token_to_id(token["content"]) != id:
            raise ModelLoadError(f"{path.name} and the model's tags do not fit: {token['content']} is not number {id}")
    tags = [token["content"] for _, token in added]
    return tokenizer, tuple(tag for tag in tags if tag[:1] == "[" and tag[-1:] == "]")


def _added(folder: Path, config: dict[str, Any], whole: dict[str, Any]) -> dict[int, dict[str, Any]]:
    """Tokens beside the vocabulary, by id, from the newest of the three places that transformers has kept them in."""
    if by_id := config.get("added_tokens_decoder"):
        return {int(id): dict(token) for id, token in by_id.items()}
    found = {id: {"content": word} for word, id in _json(folder / "added_tokens.json", {}).items()}
    return found | {
        token["id"]: {k: v for k, v in token.items() if k != "id"} for token in whole.get("added_tokens", ())
    }


def _json(path: Path, otherwise: dict[str, Any] | None = None) -> dict[str, Any]:
    """A JSON file of the model's. otherwise: what is taken where there is no such file; None: it must be there."""
    if otherwise is not None and not path.is_file():
        return otherwise
    try:
        found = json.loads(_text(path))
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ModelLoadError(f"{path.name} is damaged: it is not the JSON it should be")
    return found


def _lines(path: Path) -> list[str]:
    return [line for line in _text(path).splitlines() if line and not line.startswith("#version")]


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        raise ModelLoadError(f"{path.name} is missing from the model's files") from None
    except UnicodeDecodeError:
        raise ModelLoadError(f"{path.name} is damaged: it is not text") from None


def _made(path: Path, make: Callable[[], _T]) -> _T:
    try:
        return make()
    except Exception as error:  # all that the tokenizers library raises
        raise ModelLoadError(f"{path.name} is damaged: no vocabulary can be made of it") from error
