"""What a folder already holds of a batch: told from what anybody else put there, and never more than is true."""

import hashlib
import json
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from chatterbox_plus.errors import BadRequest, StorageFull
from chatterbox_plus.library.writing import write_whole

MANIFEST = ".chatterbox-batch.json"
_VERSION = 1
_DIGEST_BYTES = 16
_READ_BYTES = 2**20


@dataclass(frozen=True)
class Entry:
    """A row that was made. digest: of all that was asked for. files: name -> digest of its bytes as they were made."""

    digest: str
    files: Mapping[str, str]


class Manifest:
    """The rows of one folder by the name of their files, without extension. Thread-safe; one process at a time.

    A row is entered before its files get their names: whatever ends the program in between, they are known as ours.
    """

    def __init__(self, folder: Path) -> None:
        """folder: need not be there before something is entered. Raises BadRequest for a manifest that is none."""
        self._path = folder / MANIFEST
        self._lock = threading.Lock()
        self._lines: dict[str, str] = {}  # each as it stands in the file: ten thousand rows are entered one by one
        self._rows: dict[str, Entry] = {}
        for name, entry in _read(self._path).items():
            self._put(name, entry)

    def get(self, name: str) -> Entry | None:
        return self._rows.get(name)

    def enter(self, name: str, entry: Entry) -> None:
        """Raises BadRequest, StorageFull."""
        with self._lock:
            self._put(name, entry)
            self._write()

    def restore(self, name: str, entry: Entry | None) -> None:
        """How it was before `enter`: the files did not get their names after all."""
        with self._lock:
            if entry is None:
                self._rows.pop(name, None)
                self._lines.pop(name, None)
            else:
                self._put(name, entry)
            self._write()

    def made(self, name: str, path: Path) -> bool:
        """Whether that file is, to the byte, what was made for the row of that name. Raises BadRequest."""
        entry = self._rows.get(name)
        return entry is not None and path.is_file() and entry.files.get(path.name) == file_digest(path)

    def _put(self, name: str, entry: Entry) -> None:
        self._rows[name] = entry
        self._lines[name] = f"{json.dumps(name)}: {json.dumps(asdict(entry))}"

    def _write(self) -> None:
        rows = ",\n".join(self._lines.values())
        try:
            write_whole(self._path, f'{{"version": {_VERSION}, "rows": {{\n{rows}\n}}}}\n'.encode())
        except StorageFull:
            raise StorageFull(f"no room left to write {MANIFEST}") from None
        except OSError as error:
            raise BadRequest(f"cannot write {MANIFEST}: {error.strerror}") from None


def file_digest(path: Path) -> str:
    """32 hex digits of what is in a file. Raises BadRequest if it cannot be read."""
    digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    try:
        with path.open("rb") as file:
            while block := file.read(_READ_BYTES):
                digest.update(block)
    except OSError as error:
        raise BadRequest(f"cannot read {path.name}: {error.strerror}") from None
    return digest.hexdigest()


def value_digest(value: Any) -> str:
    """32 hex digits of what can be written as JSON."""
    text = json.dumps(value, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=_DIGEST_BYTES).hexdigest()


def _read(path: Path) -> dict[str, Entry]:
    try:
        told = json.loads(path.read_bytes())
        if told["version"] != _VERSION:
            raise BadRequest(f"{MANIFEST} in {path.parent.name} is of another version of this program")
        return {str(name): Entry(str(row["digest"]), dict(row["files"])) for name, row in told["rows"].items()}
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise BadRequest(f"cannot read {MANIFEST}: {error.strerror}") from None
    except (ValueError, TypeError, KeyError, AttributeError):
        hint = "delete it to begin anew (--force then overwrites what was made)"
        raise BadRequest(f"{MANIFEST} in {path.parent.name} is not whole: {hint}") from None
