"""A model from the hub into the data folder: whole, checked, and appearing at once."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Event

from chatterbox_plus.errors import DownloadFailed, InvalidOption, StorageFull, WrongState
from chatterbox_plus.library.naming import shown
from chatterbox_plus.library.writing import dump_json, write_whole, writing
from chatterbox_plus.models.catalog import CATALOG, ModelSpec, chosen
from chatterbox_plus.models.hub import Got, Hub, Remote, RemoteFile, holds
from chatterbox_plus.models.shelf import PULLED, Installed, Shelf

Progress = Callable[[int, int, str], None]
"""Bytes that are there, bytes of all, and the file that comes now. Called often, in the thread of the pull."""
SPARE_BYTES = 64 * 2**20  # that a pull leaves on the disk


def pullable(name: str) -> ModelSpec:
    """Raises InvalidOption for what is not in the catalog."""
    if name not in CATALOG:
        raise InvalidOption(f"only {', '.join(CATALOG)} can be pulled, not {shown(name)}", param="model")
    return CATALOG[name]


def pull(shelf: Shelf, hub: Hub, name: str, progress: Progress, cancel: Event) -> Installed:
    """Fetch what is missing of a model, or has changed on the hub, and put it on the shelf.

    What is on this machine already, in another model or in the hub's cache, is linked. What an earlier pull did not
    finish is taken up. Raises InvalidOption, FileExists for a name that an added folder has, WrongState while another
    process pulls it, StorageFull before anything is fetched if there is no room, and as `Hub` does.
    """
    spec = pullable(name)
    shelf.check_free(name)
    with _alone(shelf, name):
        remote = hub.look(spec.repo, cancel)
        files = _wanted(spec, remote)
        if not _recorded(shelf.folder / name, files):
            _gather(shelf, hub, name, remote, files, progress, cancel)
            return shelf.put(name)
        total = sum(file.size for file in files)
        progress(total, total, files[-1].name)
    return shelf.find(name)


def revision(installed: Installed) -> str | None:
    """The commit that a model was pulled from; None for one that was not."""
    with suppress(OSError, ValueError, TypeError, KeyError):
        return str(json.loads((installed.folder / PULLED).read_bytes())["revision"])
    return None


def _wanted(spec: ModelSpec, remote: Remote) -> list[RemoteFile]:
    roles, missing = chosen(spec.files, remote.files)
    if missing:
        raise DownloadFailed(f"{spec.repo} has no {missing[0].names[0]} any more: a newer version of this program may")
    return [remote.files[name] for name in roles.values()]


def _gather(
    shelf: Shelf, hub: Hub, name: str, remote: Remote, files: list[RemoteFile], progress: Progress, cancel: Event
) -> None:
    """All files into the folder of what is coming, and what they are."""
    coming = shelf.coming(name)
    with writing():
        coming.mkdir(parents=True, exist_ok=True)
    total, done = sum(file.size for file in files), 0
    progress(done, total, files[0].name)
    missing = []
    for file in files:
        if _linked(shelf, remote, name, file, coming / file.name, cancel):
            done += file.size
            progress(done, total, file.name)
        else:
            missing.append(file)
    _check_room(coming, missing)
    for file in missing:
        part = _part(coming, file)
        hub.fetch(remote, file, part, _after(done, total, file, progress), cancel)
        done += file.size
        with writing():
            part.replace(coming / file.name)
    with writing():
        for path in coming.iterdir():
            if path.name not in {file.name for file in files}:
                path.unlink()  # of an earlier state of the repository
        told = {file.name: {"size": file.size, "digest": file.digest} for file in files}
        pulled_at = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        write_whole(
            coming / PULLED,
            dump_json({"repo": remote.repo, "revision": remote.revision, "pulled_at": pulled_at, "files": told}),
        )


def _after(done: int, total: int, file: RemoteFile, progress: Progress) -> Got:
    """Progress of one file as that of all."""
    return lambda got: progress(done + got, total, file.name)


def _part(coming: Path, file: RemoteFile) -> Path:
    """Where a file grows: by its content, so that the rest of another version is never put after it."""
    return coming / f".{file.digest[:16]}.part"


def _linked(shelf: Shelf, remote: Remote, name: str, file: RemoteFile, target: Path, cancel: Event) -> bool:
    """Whether the file was on this machine already, and is now in its place. Raises Cancelled, StorageFull."""
    if holds(target, file, cancel):
        return True
    found = [shelf.folder / other / file.name for other in (name, *CATALOG)]
    if shelf.hub_cache is not None:  # the cache calls files by their digests
        found.append(shelf.hub_cache / f"models--{remote.repo.replace('/', '--')}" / "blobs" / file.digest)
    source = next((path for path in found if holds(path, file, cancel)), None)
    if source is None:
        return False
    part = _part(target.parent, file)
    with writing():
        part.unlink(missing_ok=True)
        try:
            os.link(source, part)
        except OSError:  # another disk, or one that knows no links
            shutil.copyfile(source, part)
        part.replace(target)
    return True


def _check_room(coming: Path, missing: list[RemoteFile]) -> None:
    need = SPARE_BYTES if missing else 0
    for file in missing:
        part = _part(coming, file)
        need += max(0, file.size - (part.stat().st_size if part.exists() else 0))
    free = shutil.disk_usage(coming).free
    if need > free:
        raise StorageFull(f"The model needs {need / 1e9:.1f} GB more; {free / 1e9:.1f} GB are free in the data folder.")


def _recorded(folder: Path, files: list[RemoteFile]) -> bool:
    """Whether these very files were pulled into the folder before, and are still as long as they were."""
    with suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
        told = json.loads((folder / PULLED).read_bytes())["files"]
        return all(
            told[file.name] == {"size": file.size, "digest": file.digest}
            and (folder / file.name).stat().st_size == file.size
            for file in files
        )
    return False


@contextmanager
def _alone(shelf: Shelf, name: str) -> Iterator[None]:
    """Raises WrongState while somebody else pulls the same model."""
    from filelock import FileLock, Timeout  # comes with huggingface_hub

    with writing():
        shelf.folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(shelf.folder / f".{name}.lock", timeout=0):
            yield
    except Timeout:
        raise WrongState(f"another program is pulling {name} already") from None
