"""What can be done to stored files: an upload saved, a voice renamed or moved, files deleted."""

import errno
import os
import secrets
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chatterbox_plus.audio.formats import ATTACHED_SUFFIXES
from chatterbox_plus.errors import FileExists, UnsupportedFormat
from chatterbox_plus.library.entries import Entry
from chatterbox_plus.library.naming import any_spelling, nfc, safe_folder, safe_name, shown
from chatterbox_plus.library.store import Store, unreadable
from chatterbox_plus.library.writing import discard, dump_json, publish, sync, sync_folder, writing

Sidecar = dict[str, Any]
Aside = Callable[[Path], AbstractContextManager[None]]
"""Keeps a file, and what is known of it, before the block deletes it: see `trash`. Called with the file's lock held."""


def outright(_: Path) -> AbstractContextManager[None]:
    """Keeps nothing."""
    return nullcontext()


@dataclass
class Deleted:
    """What is gone, as paths below the store's root."""

    audio: list[str] = field(default_factory=list)
    sidecars: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    spared: int = 0  # files that matched and were not the caller's

    @property
    def files(self) -> list[str]:
        return self.audio + self.sidecars


def upload_name(store: Store, name: str) -> str:
    """The name under which an upload is stored. Raises UnsupportedFormat, and as `safe_name` does."""
    safe = safe_name(name)
    if not safe.lower().endswith(store.suffixes) or safe.lower() in store.suffixes:
        raise UnsupportedFormat(f"Not an audio file by its name: {shown(name)} ({' '.join(store.suffixes)})")
    return safe


def check_free(
    store: Store, folder: str, name: str, *, overwrite: bool, allow: Callable[[Sidecar], None] = lambda _: None
) -> None:
    """Before any work is done for it: whether an upload could be saved.

    allow: raises if the file with this sidecar is not the caller's to replace. Raises FileExists, and as `safe_folder`
    does.
    """
    path = store.root.joinpath(*safe_folder(folder).parts, upload_name(store, name))
    _check_free(store, path, overwrite=overwrite, allow=allow)


def save(
    store: Store,
    source: Path,
    folder: str,
    name: str,
    describe: Callable[[Sidecar], Sidecar],
    *,
    overwrite: bool = False,
    allow: Callable[[Sidecar], None] = lambda _: None,
) -> Path:
    """Moves a file into the store, with a sidecar; both are whole or not there, and of two at once one wins.

    source: on any file system; it is taken away. folder, name: made safe. describe: the sidecar to write, given the one
    of the file that is replaced ({} if none is). allow: as for `check_free`.

    Raises FileExists if the name is taken and overwrite is not wanted, StorageFull, StorageUnwritable.
    """
    safe = upload_name(store, name)
    part = store.claim(folder)
    told = part.with_name(f".{secrets.token_hex(8)}.part")
    path = part.with_name(safe)
    if overwrite:
        store.shelf.renew(path, store.sidecar(path))
    try:
        with writing():
            _take_over(source, part)
            sync(part)
        with store.lock(path), writing():
            old = _check_free(store, path, overwrite=overwrite, allow=allow)
            with store.lock(store.sidecar(path)):
                told.write_bytes(dump_json(describe(old)))
                sync(told)
                new = not os.path.lexists(path)
                _offer(store, (part, path), (told, store.sidecar(path)), new=new)
                if overwrite or store.shelf.shared:  # the recording first: Windows refuses while the old one is read
                    part.replace(path)
                else:
                    _publish(part, path)
                try:
                    told.replace(store.sidecar(path))
                except OSError:
                    if new:
                        discard(path)
                    raise
            sync_folder(path.parent)
    finally:
        discard(part)
        discard(told)
    return path


def revise(store: Store, path: Path, change: Callable[[Sidecar], None], folder: str | None = None) -> Path:
    """Edits what is known of a file and, unless folder is None, moves it there; where it is then.

    folder: made safe, and made when missing. Raises FileExists if something would be overwritten, NotFound, what
    `change` raises (nothing has happened then), StorageFull.
    """
    target = path if folder is None else store.folder(folder) / path.name
    store.shelf.renew(path, store.sidecar(path))
    with store.lock(path, target):
        if not path.exists():
            raise store.not_found(path.name)
        if target != path and not _same(path, target):
            store.move(path, target, change)
            return target
        with writing():
            if not store.update_sidecar(path, change):
                raise unreadable(store.sidecar(path))
    return path


def delete(store: Store, paths: Iterable[Path], aside: Aside = outright) -> Deleted:
    """Removes these files, and each sidecar with the last file that it is about. What is gone already is no error.

    aside: see `Aside`; what it raises, but for FileNotFoundError, ends the deleting before that file is gone.
    """
    deleted = Deleted()
    with writing():
        for path in paths:
            with store.lock(path), store.shelf.removing(path):
                try:
                    with aside(path):
                        path.unlink()
                except FileNotFoundError:
                    continue
            deleted.audio.append(store.relative(path))
            for place in store.sidecar_places(path):
                if place.parent != path.parent and not _is_about(store, place, path):
                    continue
                with store.lock(place):
                    if place.is_file() and not _wanted(store, place):
                        with store.shelf.removing(place):
                            place.unlink(missing_ok=True)
                        deleted.sidecars.append(store.relative(place))
                        for attached in map(place.with_suffix, ATTACHED_SUFFIXES):
                            if attached.is_file():
                                with store.shelf.removing(attached):
                                    attached.unlink(missing_ok=True)
                                deleted.sidecars.append(store.relative(attached))
    return deleted


def delete_many(
    store: Store,
    entries: Iterable[Entry],
    *,
    prune: bool,
    below: str | None = None,
    mine: Callable[[Entry], bool],
    aside: Aside = outright,
) -> Deleted:
    """Removes the files of a list. prune: also folders left empty, with below: all empty ones from there on.

    mine: whether the caller may delete it; the others stay and are counted. aside: as for `delete`.
    """
    found = list(entries)
    yours = [entry for entry in found if mine(entry)]
    deleted = delete(store, (path for entry in yours if (path := store.known(entry.path)) is not None), aside)
    deleted.spared = len(found) - len(yours)
    if prune:
        inside = () if below is None else (f for f in store.index.snapshot().folders if _is_below(f, below))
        deleted.folders = sorted(store.prune({*(path.rpartition("/")[0] for path in deleted.audio), *inside}))
    return deleted


def formats_of(store: Store, path: Path) -> list[Path]:
    """The file and all others of the same generation."""
    stem = path.with_suffix("")
    return [path, *(other for other in _with_suffixes(store, stem) if other != path and other.is_file())]


def _check_free(store: Store, path: Path, *, overwrite: bool, allow: Callable[[Sidecar], None]) -> Sidecar:
    """The sidecar of what is replaced, {} if nothing is."""
    if not os.path.lexists(path):
        return {}
    store.check_inside(path)
    if not overwrite or not path.is_file():
        raise _taken(store, path)
    old = store.read_sidecar(path)
    allow(old)
    return old


def _taken(store: Store, path: Path) -> FileExists:
    return FileExists(f"There is a file of that name already: {shown(store.relative(path))}. Send overwrite=true.")


def _take_over(source: Path, part: Path) -> None:
    try:
        source.replace(part)
    except OSError as error:
        if error.errno != errno.EXDEV:  # another file system
            raise
        shutil.copyfile(source, part)


def _offer(store: Store, *files: tuple[Path, Path], new: bool) -> None:
    """Gives other servers what is about to be moved, (from, to): all, or nothing. new: nobody may have the first."""
    offered: list[Path] = []
    try:
        for source, path in files:
            store.shelf.put(path, source, new=new and not offered)
            offered.append(path)
    except FileExistsError:
        raise _taken(store, files[0][1]) from None
    except BaseException:
        if new:
            store.shelf.take_back(*offered)
        raise


def _publish(part: Path, path: Path) -> None:
    try:
        publish(part, path)
    except FileExistsError:
        raise FileExists(f"There is a file of that name already: {shown(path.name)}") from None


def _wanted(store: Store, sidecar: Path) -> bool:
    """Whether there is still a file in its folder that the sidecar is about."""
    about = sidecar.with_suffix("")
    return (about.suffix.lower() in store.suffixes and about.is_file()) or any(_with_suffixes(store, about))


def _is_about(store: Store, sidecar: Path, gone: Path) -> bool:
    """Of a sidecar in the root, where an older installation put those of all folders: whether it was of this file's
    generation, of which nothing else is left."""
    files = (store.read_json(sidecar) or {}).get("files")
    named = isinstance(files, dict) and gone.name in files.values()
    return named and not any(_with_suffixes(store, gone.with_suffix("")))


def _with_suffixes(store: Store, stem: Path) -> Iterator[Path]:
    """The audio files of that stem, whatever the case of their extensions commonly is."""
    seen: list[os.stat_result] = []
    for suffix in store.suffixes:
        for written in (suffix, suffix.upper(), suffix.title()):
            path = stem.with_name(stem.name + written)
            try:
                status = path.stat()
            except OSError:  # not there, or not any more
                continue
            if stat.S_ISREG(status.st_mode) and not any(os.path.samestat(status, other) for other in seen):
                seen.append(status)
                yield path


def _same(path: Path, other: Path) -> bool:
    """Whether two spellings mean one file, as they do where case does not matter."""
    return any_spelling(path) == any_spelling(other) and other.exists() and path.samefile(other)


def _is_below(folder: str, above: str) -> bool:
    return not above or nfc(folder) == above or nfc(folder).startswith(above + "/")
