"""What the columns of a batch mean: their names, and what is written in their cells."""

import difflib
import json
from types import UnionType
from typing import Any, get_args, get_origin

from chatterbox_plus.library.naming import shown
from chatterbox_plus.synthesis.options import SpeechOptions

TEXT, NAME = "text", "name"
_ALIASES = {"voice": "reference_audio_filename", "filename": NAME}
_NOT_OF_A_ROW = (TEXT, "webhook_url")
COLUMNS = (TEXT, NAME, *_ALIASES, *(field for field in SpeechOptions.model_fields if field not in _NOT_OF_A_ROW))
_TRUE, _FALSE = frozenset({"true", "1", "yes", "on"}), frozenset({"false", "0", "no", "off"})


def meaning(column: str) -> str:
    """The field that a column sets: one of SpeechOptions, or `name`. Raises ValueError with a guess."""
    if column == "webhook_url":
        raise ValueError("a batch has one webhook_url, beside its rows")
    if column not in COLUMNS:
        word = column[:64].lower()
        near = [name for name in COLUMNS if name.startswith(f"{word}_")]  # speed is nearer to seed, and not meant so
        near = near or difflib.get_close_matches(word, COLUMNS, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]}?" if near else "there are text, voice, name and the fields of a speech request"
        raise ValueError(f"there is no such column: {hint}")
    return _ALIASES.get(column, column)


def read_cell(field: str, cell: str) -> Any:
    """What a cell says, for SpeechOptions to check; None if it is blank. field: from `meaning`. Raises ValueError."""
    if not cell.strip():
        return None
    if field == TEXT:
        return cell
    cell = cell.strip()
    kinds = _kinds(field)
    if bool in kinds:
        return _yes_or_no(cell)
    if {int, float} & kinds:
        if "," in cell:
            raise ValueError(f"{shown(cell)} is no number: write a decimal point")
        return cell
    return _list(cell) if tuple in kinds else cell


def _kinds(field: str) -> set[Any]:
    """The types a field may have: {float, NoneType}, {tuple}."""
    if field == NAME:
        return {str}
    annotation = SpeechOptions.model_fields[field].annotation
    choices = get_args(annotation) if isinstance(annotation, UnionType) else (annotation,)
    return {get_origin(choice) or choice for choice in choices}


def _yes_or_no(cell: str) -> bool:
    word = cell.lower()
    if word not in _TRUE | _FALSE:
        raise ValueError(f"{shown(cell)} is neither true (1, yes, on) nor false (0, no, off)")
    return word in _TRUE


def _list(cell: str) -> list[Any]:
    if not cell.startswith("["):
        return [item.strip() for item in cell.split(",") if item.strip()]
    try:
        items = json.loads(cell)
    except (ValueError, RecursionError):
        raise ValueError('is not a valid JSON array: ["wav", "mp3"]') from None
    assert isinstance(items, list)
    return items
