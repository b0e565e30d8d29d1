"""The data folder: voices, conversion inputs, outputs, presets, the trash, and what is temporary."""

import contextlib
import copy
import json
import logging
import os
import secrets
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

import psutil

from chatterbox_plus import __version__
from chatterbox_plus.audio.formats import ATTACHED_SUFFIXES, INPUT_SUFFIXES, OUTPUT_SUFFIXES
from chatterbox_plus.errors import SettingsError, StorageUnwritable
from chatterbox_plus.library.holds import Hold
from chatterbox_plus.library.presets import Presets
from chatterbox_plus.library.records import Voice, timestamp, usage_count
from chatterbox_plus.library.shelf import ALONE, Shelf
from chatterbox_plus.library.store import Store
from chatterbox_plus.library.trash import Trash
from chatterbox_plus.library.writing import dump_json, publish, raise_if_full, room_checked, write_whole

if TYPE_CHECKING:
    from chatterbox_plus.library.mirror import Mirror

MARKER = ".chatterbox-plus.json"
_REQUEST = "request-"
REQUEST_FOLDERS = _REQUEST + "[0-9a-f]" * 16
"""A pattern of what only our folders of single requests in temp are called: temp may be everybody's."""
TRASH_KEEP_S = 86_400.0
ABANDONED_S = 86_400.0  # a request's folder in which nothing was written for so long has no request any more
_log = logging.getLogger(__name__)


def output_url(relative: str) -> str:
    """The root-relative URL of an output: ASCII, without ':' and '|', at which X-Alternative-Formats is split."""
    return "/outputs/" + quote(relative.encode("utf-8", "surrogateescape"), safe="/")


class Temporary:
    """Files of one request, gone with it: `with library.temporary() as files: files.path(".wav")`."""

    def __init__(self, root: Path) -> None:
        self.folder = root / f"{_REQUEST}{secrets.token_hex(8)}"

    def path(self, suffix: str = "") -> Path:
        """A name that nobody has, in a folder that only this request knows. suffix: ours, never the client's."""
        return self.folder / f"{secrets.token_hex(8)}{suffix}"

    def __enter__(self) -> Self:
        with room_checked():
            self.folder.mkdir(mode=0o700)
        self._hold = Hold(self.folder)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._hold.release()
        _remove_folder(self.folder)
        raise_if_full(error)


class Library:
    """Everything that is stored. Thread-safe; several processes may share the folders."""

    def __init__(
        self,
        reference_audio: Path,
        vc_inputs: Path,
        outputs: Path,
        temp: Path,
        *,
        data: Path | None = None,
        mirror: "Mirror | None" = None,
        trash_keep_s: float = TRASH_KEEP_S,
    ) -> None:
        """Folders are made when missing. data: where the library remembers its first start; by default the folder
        around reference_audio. mirror: what keeps the stores equal to those of other servers; `meet` begins with it,
        and it is closed with the library. trash_keep_s: seconds that deleted voices can be had back. Raises
        SettingsError if a folder cannot be used."""
        self.mirror = mirror
        self.voices = self._store("reference_audio", reference_audio)
        self.inputs = self._store("vc_inputs", vc_inputs)
        self.outputs = self._store("outputs", outputs)
        self._data = reference_audio.parent if data is None else data
        self.consents = self._store("consents", self._data / "consents")
        self.temp = temp  # for nameless scratch files; named ones go into `temporary()`
        self._projects: dict[str, Library] = {}
        self._projects_guard = threading.Lock()
        self.presets = Presets(self._data / "presets")
        self.trash = Trash(self._data / "trash", self.voices, trash_keep_s)
        try:
            self.temp.mkdir(parents=True, exist_ok=True)
            self._data.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SettingsError(f"The folder {temp.name} cannot be used: {error.strerror}") from error

    def _store(self, name: str, root: Path) -> Store:
        made = name == "outputs"
        suffixes = OUTPUT_SUFFIXES if made else INPUT_SUFFIXES
        missing = "File not found: {name}" if made else f"Audio file not found: {{name}} in {name}"
        shelf: Shelf = ALONE
        if self.mirror is not None:
            from chatterbox_plus.library.shared_shelf import SharedShelf  # and with it the object store, which few have

            area = self.mirror.area(name, root, suffixes=(*suffixes, ".json", *ATTACHED_SUFFIXES))
            shelf = SharedShelf(self.mirror, area)
        store = Store(root, suffixes, missing=missing, sidecar_per_stem=made, shelf=shelf)
        if self.mirror is not None:
            area.prune = store.prune
        return store

    def meet(self) -> None:
        """Learns which voices other servers have. Raises SettingsError if their store cannot be used."""
        if self.mirror is not None:
            try:
                self.mirror.learn("reference_audio")
            except StorageUnwritable as error:
                raise SettingsError("storage.storage_url: the store cannot be used; the log says why") from error

    def follow(self) -> None:
        """From now on what other servers do is learnt every few seconds."""
        if self.mirror is not None:
            self.mirror.follow()

    def close(self) -> None:
        """What other servers do is not learnt any more."""
        if self.mirror is not None:
            self.mirror.close()

    def removing(self, paths: Sequence[Path]) -> AbstractContextManager[None]:
        """The block removes files here; those that it did are then removed for other servers, too."""
        return contextlib.nullcontext() if self.mirror is None else self.mirror.removing_first_here(paths)

    def within(self, project: str) -> "Library":
        """The library as one project sees it: all voices, and only its own inputs, outputs and presets; "" is all.

        The same object each time. Raises as `Store.folder` does.
        """
        if not project:
            return self
        with self._projects_guard:
            if project not in self._projects:
                view = copy.copy(self)
                view.inputs, view.outputs = self.inputs.within(project), self.outputs.within(project)
                view.presets = self.presets.within(project)
                self._projects[project] = view
            return self._projects[project]

    @property
    def owns_temp(self) -> bool:
        """Whether everything in temp is ours: it lies in the data folder, and no store lies in it."""
        temp, data = self.temp.resolve(), self._data.resolve()
        stores = (self.voices, self.inputs, self.outputs)
        return temp != data and temp.is_relative_to(data) and not any(s.root.is_relative_to(temp) for s in stores)

    def voice(self, name: str) -> Voice:
        """The stored voice meant by `name`, as `Store.resolve` finds it, with what its sidecar says."""
        path = self.voices.resolve(name)
        try:
            return Voice.of(path, self.voices.relative(path), self.voices.read_sidecar(path))
        except FileNotFoundError as error:
            raise self.voices.not_found(name) from error  # deleted this moment

    def look_around(self) -> None:
        """Learns what is stored, so that the first list of a large library is as quick as the others."""
        for store in (self.voices, self.inputs, self.outputs):
            store.index.snapshot()

    def note_use(self, voice: Voice) -> None:
        """Counts one use in the voice's sidecar. Where voices are read-only nothing is counted. Raises StorageFull."""

        def count(sidecar: dict[str, Any]) -> None:
            sidecar["usage_count"] = usage_count(sidecar) + 1
            sidecar["last_used"] = timestamp()

        try:
            self.voices.update_sidecar(voice.path, count, later=True)
        except OSError as error:
            _log.warning("cannot count the use of the voice %s: %s", voice.url, error.strerror)

    def temporary(self) -> Temporary:
        """A context for the files of one request."""
        return Temporary(self.temp)

    def sweep(self) -> int:
        """At start: removes what crashed processes left half-written or in temp; how much that was."""
        removed = sum(store.sweep() for store in (self.voices, self.inputs, self.outputs, self.consents))
        oldest = time.time() - ABANDONED_S
        for folder in self.temp.glob(REQUEST_FOLDERS):
            with contextlib.suppress(FileNotFoundError):  # its request ended this moment
                if max(path.lstat().st_mtime for path in (folder, *folder.rglob("*"))) < oldest:
                    _remove_folder(folder)
                    removed += 1
        return removed

    @contextlib.contextmanager
    def first_start(self) -> Iterator[bool]:
        """Whether the starter files of a fresh data folder are the caller's to make, in this block, with
        `reserve(..., numbered=False)`, passing over those that exist.

        Fresh is a folder without our marker and without any file of voices, inputs or outputs, so an installation of
        the original is not. Leaving the block well remembers that they were made: deleted, they stay deleted. Of two
        starts at once only one is told True; one that broke off is taken up by the next.
        """
        mine = self._claim_first_start()
        try:
            yield mine
        except BaseException:
            if mine:
                self._mark("unfinished")
            raise
        if mine:
            self._mark("made")

    def _claim_first_start(self) -> bool:
        marker = self._data / MARKER
        if not os.path.lexists(marker):
            fresh = all(store.is_empty() for store in (self.voices, self.inputs, self.outputs)) and (
                self.mirror is None or self.mirror.is_empty()
            )
            whole = marker.with_name(f".{secrets.token_hex(8)}.part")
            write_whole(whole, _marker("unfinished" if fresh else "not wanted", owned=fresh))
            try:
                publish(whole, marker)
                return fresh
            except FileExistsError:
                whole.unlink()
        try:
            known = json.loads(marker.read_bytes())
        except ValueError:
            return False
        if not isinstance(known, dict) or known.get("starter_files") != "unfinished" or _is_running(known.get("owner")):
            return False
        self._mark("unfinished", owned=True)
        return True

    def _mark(self, state: str, *, owned: bool = False) -> None:
        write_whole(self._data / MARKER, _marker(state, owned=owned))


def _marker(state: str, *, owned: bool) -> bytes:
    owner = {"pid": os.getpid(), "started": psutil.Process().create_time()} if owned else None
    return dump_json({"starter_files": state, "owner": owner, "version": __version__, "timestamp": timestamp()})


def _is_running(owner: Any) -> bool:
    """Whether that very process still runs; its number alone may be another's by now, in containers usually is."""
    try:
        return bool(abs(psutil.Process(owner["pid"]).create_time() - owner["started"]) < 2)
    except (psutil.Error, TypeError, KeyError, ValueError):
        return False


def _remove_folder(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():  # something in it is still open on Windows: the next sweep takes it
        _log.warning("cannot remove the temporary folder %s yet", folder.name)
