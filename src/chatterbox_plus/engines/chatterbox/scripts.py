"""Scripts that are rewritten before the multilingual model reads them: Chinese, Japanese, Korean, Hebrew, Russian.

The model never saw kanji, or Hebrew without its points: such a text is refused where the package that rewrites it is
missing. Chinese without word boundaries and Russian without stress marks are read in full, only less well, so they are
read, and `remark` says what would help.
"""

import importlib
import json
import os
import sys
import unicodedata
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from chatterbox_plus.errors import MissingExtra, ModelLoadError

CANGJIE_FILE = "Cangjie5_TC.json"
POINTS_MODEL = "dicta*.onnx"  # beside the model's files; dicta-onnx brings none
_WORDS_MODEL = "spacy_ontonotes"  # spacy-pkuseg's default; it brings none either
_STRESS = "\u0301"


class _Package(NamedTuple):
    module: str
    name: str  # on the package index
    extra: str  # of ours


_PACKAGES = {
    "he": _Package("dicta_onnx", "dicta-onnx", "hebrew"),
    "ja": _Package("pykakasi", "pykakasi", "japanese"),
    "ru": _Package("silero_stress", "silero-stress", "russian"),
    "zh": _Package("spacy_pkuseg", "spacy-pkuseg", "chinese"),
}
_REFUSED_WITHOUT = ("he", "ja")


def needs(language: str) -> str | None:
    """The package without which most texts of a language (a code of LANGUAGES) cannot be read, if it is missing."""
    return _PACKAGES[language].name if language in _REFUSED_WITHOUT and not _installed(language) else None


def require(text: str, language: str) -> None:
    """Whether a text can be read with what is installed, known before any model is loaded.

    Kana alone and Hebrew with points need nothing. Raises MissingExtra, saying what to install.
    """
    if needs(language) and _is_unreadable(unicodedata.normalize("NFKD", text), language):
        what = {"ja": "Japanese with kanji", "he": "Hebrew without vowel points"}[language]
        raise MissingExtra(f"{what} needs {_advice(language)}", param="language")


def remark(language: str, folder: Path) -> str | None:
    """What would make a language that is read anyway sound better, or None. folder: the model's files."""
    if language == "ru" and not _installed(language):
        return f"Russian is read without stress marks, some words may be stressed wrongly; it needs {_advice(language)}"
    if language == "zh" and not _installed(language):
        return f"Chinese is read without word boundaries, it may sound less natural; it needs {_advice(language)}"
    if language == "zh" and _words_model(folder) is None:
        return (
            "Chinese is read without word boundaries, it may sound less natural: spacy-pkuseg has no model yet; "
            'python -c "import spacy_pkuseg; spacy_pkuseg.pkuseg()" fetches it'
        )
    return None


def rewritten(text: str, language: str, folder: Path) -> str:
    """A text, small letters and NFKD, as the multilingual model was taught to read it.

    language: a code of LANGUAGES; those not named above stay as they are. folder: the model's files.
    Raises MissingExtra as `require` does, ModelLoadError where the folder's table of Chinese characters is missing or
    damaged.
    """
    require(text, language)
    match language:
        case "zh":
            return _cangjie(_with_word_spaces(text, folder), folder)
        case "ja":
            return _kana(text) if _installed(language) else text
        case "he":
            return _pointed(text, folder) if _is_unreadable(text, language) else text
        case "ru":
            return _stressed(text) if _installed(language) else text
        case "ko":
            return text.strip()  # NFKD has made its letters of the syllables
        case _:
            return text


def _installed(language: str) -> bool:
    module = _PACKAGES[language].module
    return module in sys.modules or find_spec(module) is not None


def _advice(language: str) -> str:
    _, name, extra = _PACKAGES[language]
    return f"{name}: pip install 'chatterbox-plus[{extra}]'"


def _is_unreadable(text: str, language: str) -> bool:
    if language == "ja":
        return any(_is_kanji(c) for c in text)
    pointed = any("\u05b0" <= c <= "\u05c7" for c in text)
    return not pointed and any("\u05d0" <= c <= "\u05ea" for c in text)


def _is_kanji(c: str) -> bool:
    return "\u4e00" <= c <= "\u9fff"


# Chinese: every character becomes the keys that type it, [cj_x] each, and [cj_.]. Where several share their keys, the
# second has a 1 behind them, the third a 2, in the order of the table.


def _cangjie(text: str, folder: Path) -> str:
    keys, sharing = _cangjie_table(folder / CANGJIE_FILE)
    out = []
    for c in text:
        code = keys.get(c) if unicodedata.category(c) == "Lo" else None
        if code is None:
            out.append(c)
            continue
        place = sharing[code].index(c)
        out += [f"[cj_{key}]" for key in f"{code}{place or ''}."]
    return "".join(out)


@cache
def _cangjie_table(path: Path) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Character -> keys (of several, the last), and keys -> characters in the table's order."""
    keys: dict[str, str] = {}
    sharing: dict[str, list[str]] = {}
    try:
        for entry in json.loads(path.read_text("utf-8")):
            character, code = entry.split("\t")[:2]
            keys[character] = code
            sharing.setdefault(code, []).append(character)
    except FileNotFoundError:
        raise ModelLoadError(f"Chinese needs {path.name} beside the model's files: it is missing") from None
    except (ValueError, TypeError, AttributeError):
        raise ModelLoadError(f"{path.name} is damaged: not a list of characters and their keys") from None
    return keys, sharing


def _with_word_spaces(text: str, folder: Path) -> str:
    if not _installed("zh") or (model := _words_model(folder)) is None:
        return text
    return " ".join(_cutter(model)(text))


def _words_model(folder: Path) -> Path | None:
    """spacy-pkuseg's model, beside ours or where it keeps it. Left to itself it would fetch one in mid-sentence."""
    home = Path(os.environ.get("PKUSEG_HOME", "~/.pkuseg")).expanduser()
    places = (folder / _WORDS_MODEL, home / _WORDS_MODEL)
    return next((place for place in places if (place / "weights.npz").is_file()), None)


@cache
def _cutter(model: Path) -> Callable[[str], list[str]]:
    cut: Callable[[str], list[str]] = importlib.import_module("spacy_pkuseg").pkuseg(str(model)).cut
    return cut


# Japanese: kanji become hiragana; a blank goes before は and へ at the start of what was kanji, as the model learnt it.


def _kana(text: str) -> str:
    out = []
    for part in _kakasi()(text):
        written, read = part["orig"], part["hira"]
        if not any(_is_kanji(c) for c in written):
            out.append(written)
        else:
            out.append(f" {read}" if read.startswith(("は", "へ")) else read)
    return unicodedata.normalize("NFKD", "".join(out))


@cache
def _kakasi() -> Callable[[str], list[dict[str, str]]]:
    convert: Callable[[str], list[dict[str, str]]] = importlib.import_module("pykakasi").kakasi().convert
    return convert


# Hebrew: upstream asks dicta-onnx without a model and so never has points (resemble-ai/chatterbox issue 467).


def _pointed(text: str, folder: Path) -> str:
    model = next(iter(sorted(folder.glob(POINTS_MODEL))), None)
    if model is None:
        raise MissingExtra(
            f"Hebrew without vowel points needs a model of dicta-onnx ({POINTS_MODEL}) beside the model's files",
            param="language",
        )
    return _pointer(model)(text)


@cache
def _pointer(model: Path) -> Callable[[str], str]:
    add: Callable[[str], str] = importlib.import_module("dicta_onnx").Dicta(str(model)).add_diacritics
    return add


# Russian: an acute after the stressed vowel of every word of several syllables, but for ё.


def _stressed(text: str) -> str:
    if _STRESS in text:
        return text  # whoever marks stress himself wants no other
    composed = unicodedata.normalize("NFC", text)
    # silero-stress writes a + before the vowel: a + of the text's own must not come near it.
    marked = "+".join(_marks_to_acutes(_accentor()(part)) for part in composed.split("+"))
    return unicodedata.normalize("NFKD", marked)


def _marks_to_acutes(text: str) -> str:
    first, *rest = text.split("+")
    return first + "".join(s if s.startswith("ё") else s[:1] + _STRESS + s[1:] for s in rest)


@cache
def _accentor() -> Callable[[str], str]:
    # The package leaves PyTorch with one thread and without gradients, for all of the process.
    torch = importlib.import_module("torch")
    threads, gradients = torch.get_num_threads(), torch.is_grad_enabled()
    accentor: Callable[..., str] = importlib.import_module("silero_stress").load_accentor()
    torch.set_num_threads(threads)
    torch.set_grad_enabled(gradients)
    return lambda text: accentor(text, stress_single_vowel=False)


def lost(text: str, language: str) -> list[str]:
    """Characters that the rewriting drops: pykakasi knows none beyond the first 65 536, rare kanji and emoji."""
    return [c for c in text if ord(c) > 0xFFFF] if language == "ja" and _installed("ja") else []
