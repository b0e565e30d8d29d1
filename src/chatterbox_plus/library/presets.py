"""Presets: options under a name, so that nobody has to set them twice. A JSON file each, in a folder of their own.

Whoever asks sees one shelf of them: that of the house, or that of a project. Names mean the same in any case, since
some file systems cannot tell them apart.
"""

import json
import logging
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chatterbox_plus.errors import BadRequest, FileExists, InvalidOption, NotFound
from chatterbox_plus.library.naming import any_spelling, nfc, safe_folder, safe_name, shown
from chatterbox_plus.library.records import text_of, timestamp
from chatterbox_plus.library.writing import discard, dump_json, publish, sync, sync_folder, write_whole, writing

MAX_NAME_CHARS = 100
MAX_PRESETS = 500  # of one shelf: every list reads them all
_HOUSE, _PROJECTS = "house", "projects"
_SUFFIX = ".json"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Preset:
    """What was saved. kind: of the operation whose options these are; created, updated: ISO 8601."""

    name: str
    kind: str
    options: Mapping[str, Any]
    created: str
    updated: str

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "kind": self.kind,
            "options": dict(self.options),
            "created_date": self.created,
            "updated_date": self.updated,
        }


class Presets:
    """One shelf. Thread-safe; several processes may share the folder, which is made when something is saved."""

    def __init__(self, root: Path, project: str = "") -> None:
        """project: whose they are; "" is the house itself. Raises as `safe_folder` does."""
        self._root = root
        self._folder = root / _PROJECTS / safe_folder(project) if project else root / _HOUSE
        self._lock = threading.Lock()

    def within(self, project: str) -> "Presets":
        """The shelf of one project."""
        return Presets(self._root, project)

    def all(self) -> list[Preset]:
        """By name. What is no preset is passed over, with a warning in the log."""
        found = [preset for path in self._files() if (preset := _read(path)) is not None]
        return sorted(found, key=lambda preset: preset.name.casefold())

    def get(self, name: str) -> Preset:
        """Raises NotFound."""
        path = self._find(name)
        found = None if path is None else _read(path)
        if found is None:
            raise _missing(name)
        return found

    def save(self, name: str, kind: str, options: Mapping[str, Any], *, overwrite: bool = True) -> Preset:
        """Keeps them under that name, whole or not at all; over another preset only if that is wanted.

        Raises InvalidOption for what cannot be a name, FileExists, BadRequest for too many, StorageFull,
        StorageUnwritable.
        """
        check_name(name)
        with self._lock, writing():
            self._folder.mkdir(parents=True, exist_ok=True)
            path = self._find(name)
            if path is not None and not overwrite:
                raise _taken(name)
            if path is None and len(self._files()) >= MAX_PRESETS:
                raise BadRequest(f"There are {MAX_PRESETS} presets already: delete some", param="name")
            now, old = timestamp(), None if path is None else _read(path)
            preset = Preset(nfc(name), kind, options, old.created if old else now, now)
            data = dump_json(preset.as_json())
            if path is not None:
                write_whole(path, data)
            else:
                self._publish(self._folder / (nfc(name) + _SUFFIX), data, overwrite)
            return preset

    def delete(self, name: str) -> Preset:
        """What was there. Raises NotFound."""
        with self._lock, writing():
            path = self._find(name)
            found = None if path is None else _read(path)
            if path is None or found is None:
                raise _missing(name)
            path.unlink(missing_ok=True)
            return found

    def _publish(self, path: Path, data: bytes, overwrite: bool) -> None:
        """A new file; of two servers that make the same one, the second replaces it or is told."""
        part = path.with_name(f".{secrets.token_hex(8)}.part")
        try:
            part.write_bytes(data)
            sync(part)
            publish(part, path)
            sync_folder(path.parent)
        except FileExistsError:
            if not overwrite:
                raise _taken(path.stem) from None
            write_whole(path, data)
        finally:
            discard(part)

    def _find(self, name: str) -> Path | None:
        wanted = any_spelling(Path(name + _SUFFIX))
        return next((path for path in self._files() if any_spelling(Path(path.name)) == wanted), None)

    def _files(self) -> list[Path]:
        if not self._folder.is_dir():
            return []
        return [
            path
            for path in self._folder.iterdir()
            if path.suffix == _SUFFIX and not path.name.startswith(".") and path.is_file() and not path.is_symlink()
        ]


def check_name(name: str) -> None:
    """Raises InvalidOption for a name that not every system can store as it is."""
    try:
        safe = safe_name(name) if name.strip() and len(name) <= MAX_NAME_CHARS else ""
    except InvalidOption as error:
        raise InvalidOption(error.message, param="name") from None
    if not safe or safe != nfc(name):
        raise InvalidOption(
            f"a preset's name has 1 to {MAX_NAME_CHARS} characters, none of them one of < > : \" / \\ | ? *, "
            "and no dot or blank at its ends",
            param="name",
        )


def _read(path: Path) -> Preset | None:
    try:
        told = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        _log.warning("ignoring the preset %s: %s", path.name, error)
        return None
    options, kind = (told.get("options"), text_of(told.get("kind"))) if isinstance(told, dict) else (None, None)
    if not isinstance(options, dict) or kind is None:
        _log.warning("ignoring the preset %s: it is none", path.name)
        return None
    created = text_of(told.get("created_date")) or ""
    return Preset(nfc(path.stem), kind, options, created, text_of(told.get("updated_date")) or created)


def _missing(name: str) -> NotFound:
    return NotFound(f"There is no preset of that name: {shown(name)}")


def _taken(name: str) -> FileExists:
    return FileExists(f"There is a preset of that name already: {shown(name)}")
