"""Files and fields of a multipart form, checked before anything is done with them."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.datastructures import FormData, UploadFile

from chatterbox_plus.audio.formats import INPUT_SUFFIXES
from chatterbox_plus.errors import BadRequest, InvalidAudio, UnsupportedFormat
from chatterbox_plus.library.library import Temporary

MAX_FILES = 200
MAX_FIELDS = 200
Model = TypeVar("Model", bound=BaseModel)


def checked(kind: type[Model], values: Mapping[str, Any]) -> Model:
    """The values as that model; a 422 as for any JSON body where they do not fit."""
    try:
        return kind.model_validate(dict(values))
    except ValidationError as error:
        raise RequestValidationError(
            [{**item, "loc": ("body", *item["loc"])} for item in error.errors(include_url=False, include_context=False)]
        ) from None


def upload(form: FormData, name: str) -> UploadFile | None:
    """The audio file sent under that name, None if none was chosen.

    Raises BadRequest for text in its place or several files, UnsupportedFormat by its extension, InvalidAudio if empty.
    """
    sent = [part for part in form.getlist(name) if not isinstance(part, str) or part]
    files = [part for part in sent if isinstance(part, UploadFile) and (part.filename or part.size)]
    if any(isinstance(part, str) for part in sent):
        raise BadRequest(f"{name} must be a file", param=name)
    if len(files) > 1:
        raise BadRequest(f"{name} must be one file", param=name)
    if not files:
        return None
    file = files[0]
    if suffix_of(file) not in INPUT_SUFFIXES:
        raise UnsupportedFormat(f"{name} must be audio by its name: {' '.join(INPUT_SUFFIXES)}", param=name)
    if not file.size:
        raise InvalidAudio(f"{name} is empty", param=name)
    return file


def fields(form: FormData, lists: tuple[str, ...] = ()) -> dict[str, Any]:
    """The text fields that are filled in; of repeated ones the last, but all of `lists` as lists.

    A list is a repeated field, comma separated, or a JSON array. Raises BadRequest for broken JSON.
    """
    found: dict[str, Any] = {}
    for name, value in form.multi_items():
        if not isinstance(value, str) or not value.strip():
            continue
        if name in lists:
            found.setdefault(name, []).extend(_items(name, value))
        else:
            found[name] = value
    return found


def save(file: UploadFile, files: Temporary) -> Path:
    """The upload as a file of this request. Blocks: for a worker's thread."""
    path = files.path(suffix_of(file))
    with path.open("xb") as copy:
        shutil.copyfileobj(file.file, copy)
    return path


def name_of(file: UploadFile) -> str:
    """What the client calls the file, without folders."""
    return PurePosixPath((file.filename or "").replace("\\", "/")).name


def suffix_of(file: UploadFile) -> str:
    return PurePosixPath(name_of(file)).suffix.lower()


def _items(name: str, value: str) -> list[Any]:
    if not value.lstrip().startswith("["):
        return [item.strip() for item in value.split(",") if item.strip()]
    try:
        items = json.loads(value)
    except (ValueError, RecursionError):
        raise BadRequest(f"{name} is not a valid JSON array", param=name) from None
    assert isinstance(items, list)
    return items
