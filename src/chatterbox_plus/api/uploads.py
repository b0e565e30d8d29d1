"""Recordings sent to be kept: checked while they lie in the request's folder, stored whole or not at all."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import Request
from pydantic import BaseModel, Field

from chatterbox_plus.api.bridge import Cancel
from chatterbox_plus.api.forms import Form, Upload
from chatterbox_plus.api.lists import Flag, Kind
from chatterbox_plus.api.state import ApiState
from chatterbox_plus.audio.decode import AudioInfo
from chatterbox_plus.errors import BadRequest, Cancelled, InvalidOption
from chatterbox_plus.library.changes import check_free, save, upload_name
from chatterbox_plus.library.entries import Entry, Stat
from chatterbox_plus.library.index import Snapshot
from chatterbox_plus.library.naming import shown
from chatterbox_plus.library.records import timestamp
from chatterbox_plus.library.store import Store

_FOLDERS = ("folder_path", "folder", "project")
KEPT = ("created_date", "usage_count", "last_used", "owner")
"""What stays known of a file that is overwritten: it is the same voice, recorded anew."""


class Place(BaseModel):
    """Where an upload goes."""

    folder_path: str | None = Field(None, max_length=512, description="Folder to put it in; made when missing.")
    overwrite: Flag = Field(False, description="Replace a file of that name instead of answering 409.")


@dataclass(frozen=True)
class Arrival:
    """One recording on its way into a store."""

    form: Form
    upload: Upload
    place: Place

    @property
    def name(self) -> str:
        return self.upload.name

    @property
    def folder(self) -> str:
        return self.place.folder_path or ""


def is_form(request: Request) -> None:
    """Raises InvalidOption for a body that is none."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "multipart/form-data":
        raise InvalidOption("Send the recording in a form (multipart/form-data)")


def file_of(form: Form, *names: str) -> Upload:
    """The recording, under any of these names. Raises InvalidOption if there is none, BadRequest for more than one."""
    found = [upload for name in names if (upload := form.file(name)) is not None]
    if not found:
        raise InvalidOption(f"{names[0]} is missing: the recording", param=names[0])
    if len(found) > 1:
        raise BadRequest(f"Send one recording, as {names[0]}", param=names[0])
    return found[0]


def placed(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values, with the folder under one of its names. Raises InvalidOption if two of them differ."""
    folders = [values[name] for name in _FOLDERS if values.get(name)]
    if any(folder != folders[0] for folder in folders):
        raise InvalidOption(f"{', '.join(_FOLDERS)} name the same thing and differ: send one", param=_FOLDERS[0])
    rest = {name: value for name, value in values.items() if name not in _FOLDERS}
    return {**rest, "folder_path": folders[0]} if folders else rest


def json_object(name: str, text: object) -> dict[str, Any]:
    """A JSON object sent as text. Raises BadRequest."""
    try:
        found = json.loads(text) if isinstance(text, str) else text
    except (ValueError, RecursionError):
        raise BadRequest(f"{name} is not valid JSON", param=name) from None
    if not isinstance(found, dict):
        raise BadRequest(f"{name} must be a JSON object", param=name)
    return found


def keep(
    state: ApiState,
    store: Store,
    kind: Kind,
    arrival: Arrival,
    describe: Callable[[AudioInfo], dict[str, Any]],
    cancel: Cancel,
    allow: Callable[[dict[str, Any]], None] = lambda _: None,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Checks the recording and stores it with what `describe` says of it: what a list tells of it, and its sidecar.

    Blocks, and takes the form's files over.

    allow: raises if the file with this sidecar is not the caller's to replace. Raises what the decoder does with what
    is no audio, and as `changes.save` does.
    """
    with arrival.form.keep():
        overwrite, path = arrival.place.overwrite, arrival.upload.path
        check_free(store, arrival.folder, arrival.name, overwrite=overwrite, allow=allow)
        info = state.studio.decoder.probe(path, thorough=True, cancel=cancel, name=shown(arrival.name))
        told = describe(info)
        if cancel.is_set():
            raise Cancelled("the client left")
        moment, size = timestamp(), path.stat().st_size
        sidecar = {
            **told,
            "duration_seconds": round(info.duration_s, 6),
            "sample_rate": info.rate,
            "file_size_bytes": size,
            "format": upload_name(store, arrival.name).rpartition(".")[2].lower(),
            "created_date": moment,
            "upload_date": moment,
        }

        def settled(old: dict[str, Any]) -> dict[str, Any]:
            sidecar.update({name: old[name] for name in KEPT if old.get(name) is not None})
            return sidecar

        stored = save(store, path, arrival.folder, arrival.name, settled, overwrite=overwrite, allow=allow)
        # From what was written, not from what lies there: somebody may have moved or replaced it by now
        entry = Entry.of(store.relative(stored), Stat(0, size, 0), sidecar)
        return kind.item(store, Snapshot((), ()), entry, sidecar), sidecar
