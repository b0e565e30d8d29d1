"""Files that appear whole or not at all: written under hidden names beside their place, synced, then put there."""

import contextlib
import errno
import json
import logging
import os
import re
import secrets
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from chatterbox_plus.errors import Cancelled, FileExists, StorageFull, StorageUnwritable
from chatterbox_plus.library.holds import Hold
from chatterbox_plus.library.naming import shown

OWNER = "task_id"  # in the sidecar of what a task made: whose it is
TEMPORARY_SUFFIXES = (".part", ".claim")  # always after a leading dot; swept when a crash left them

_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}
# What file systems without hard links answer: exFAT and FAT, some network shares, some container mounts.
_NO_LINKS = {errno.EPERM, errno.EACCES, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EXDEV, errno.EMLINK}
_log = logging.getLogger(__name__)


@contextlib.contextmanager
def room_checked() -> Iterator[None]:
    """Turns "no space left" of anything written inside into StorageFull."""
    try:
        yield
    except OSError as error:
        raise_if_full(error)
        raise


@contextlib.contextmanager
def writing() -> Iterator[None]:
    """Turns what the file system refuses inside into StorageFull or StorageUnwritable; a name that is taken stays."""
    try:
        yield
    except FileExistsError:
        raise
    except OSError as error:
        raise_if_full(error)
        raise StorageUnwritable(f"The data folder cannot be written: {error.strerror}.") from error


def raise_if_full(error: BaseException | None) -> None:
    """Raises StorageFull if `error` says that the disk, or the quota, is full."""
    if isinstance(error, OSError) and error.errno in _FULL:
        raise StorageFull("There is no room left in the data folder.") from error


def dump_json(value: Any) -> bytes:
    """Indented, in the letters of its script; a lone surrogate as its JSON escape, which is what the handler writes."""
    return (json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False) + "\n").encode("utf-8", "backslashreplace")


def write_whole(path: Path, data: bytes) -> None:
    """Replaces `path` in one step: readers see the old bytes or the new. Raises StorageFull."""
    temporary = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        with room_checked():
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        sync_folder(path.parent)
    except BaseException:
        discard(temporary)
        raise


def sync_folder(folder: Path) -> None:
    """Makes new names in `folder` survive a power cut; Windows has no such call and needs none."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some network and container file systems cannot sync a folder
            raise
    finally:
        os.close(descriptor)


class Reservation:
    """One stem in one folder, ours until `commit` or `abort`: all formats and the sidecar of a generation share it.

        with store.reserve("book/ch1", stem, (".wav", ".mp3")) as place:
            encode(place.open(".wav")); encode(place.open(".mp3"))
            place.write_json({"files": {"wav": place.name(".wav"), "mp3": place.name(".mp3")}})
            place.commit()

    Leaving the block without `commit` removes everything. What the file system refuses inside the block becomes
    StorageFull or StorageUnwritable. One thread at a time.
    """

    _replaces = False  # whether what has our names when we commit is ours

    def __init__(
        self,
        folder: Path,
        stem: str,
        suffixes: tuple[str, ...],
        *,
        taken_by: tuple[str, ...],
        numbered: bool,
        owner: str | None = None,
    ):
        """Use `Store.reserve`. taken_by: endings that make a stem taken when a file stem + ending exists.

        owner: of work that may be begun again, after a crash or because its server seemed dead; its id stands in the
        claim and in the sidecar. What an earlier attempt left is taken over, so that it comes to the same names, and an
        earlier one that goes on after all spoils nothing: the last to claim is the one that commits, and files that are
        in their places are replaced, never removed.

        Raises FileExists if the stem is taken and may not be numbered, StorageFull, StorageUnwritable.
        """
        self.folder = folder
        self.suffixes = suffixes
        self._owner = owner
        self._mark = f"{owner}\n{secrets.token_hex(4)}" if owner else ""  # in the claim: whose it is, which attempt's
        self._files: dict[str, BinaryIO] = {}
        self._holds = contextlib.ExitStack()  # however long the work takes, nobody is to think its writer crashed
        for n in count(1):
            self.stem = stem if n == 1 else f"{stem}_{n}"
            if self._claim(taken_by):
                return
            if not numbered:
                raise FileExists(f"There is a file of that name already: {shown(stem)}")

    def name(self, suffix: str) -> str:
        """The file's name once committed."""
        return self.stem + suffix

    def path(self, suffix: str) -> Path:
        """Where the file is once committed."""
        return self.folder / self.name(suffix)

    def open(self, suffix: str) -> BinaryIO:
        """The hidden file to write, seekable and readable; once per suffix. It is closed by `commit` and `abort`."""
        if suffix not in (*self.suffixes, ".json") or suffix in self._files:
            raise ValueError(f"{suffix} is not reserved or is open already")
        with writing():
            self._files[suffix] = file = self._temporary(suffix).open("x+b")
        self._holds.enter_context(Hold(self._temporary(suffix)))
        return file

    def write_json(self, value: Any) -> None:
        """The sidecar, `<stem>.json`."""
        with writing():
            self.open(".json").write(dump_json({**value, OWNER: self._owner} if self._owner else value))

    def commit(self) -> dict[str, Path]:
        """Puts what was written in its place, suffix → path; the sidecar first, so no audio is ever seen without it.

        Raises StorageFull, FileExists if a file of that name was put there by hand meanwhile, and Cancelled if another
        attempt of the same owner has claimed the place; then nothing stays.
        """
        placed: list[Path] = []
        try:
            with writing():
                for suffix, file in self._files.items():
                    file.close()
                    sync(self._temporary(suffix))
                if not self._claim_is_ours():
                    raise FileExistsError(errno.EEXIST, "claimed")
                replace = self._replaces or self._owns(self.path(".json"))
                for suffix in sorted(self._files, key=lambda s: s != ".json"):
                    if replace:
                        overwrite(self._temporary(suffix), self.path(suffix))
                    else:
                        publish(self._temporary(suffix), self.path(suffix))
                        placed.append(self.path(suffix))
                sync_folder(self.folder)
        except BaseException as error:
            lost = not self._claim_is_ours()
            for path in placed if not lost else ():  # else they may be the other attempt's by now
                discard(path)
            self.abort()
            if lost:
                raise Cancelled("another attempt goes on with this work") from error
            if isinstance(error, FileExistsError):
                raise FileExists(f"There is a file of that name already: {shown(self.stem)}") from error
            raise
        committed = {suffix: self.path(suffix) for suffix in self._files}
        self._files.clear()
        self._release()
        return committed

    def abort(self) -> None:
        """Removes everything not committed; does nothing after `commit`."""
        for suffix, file in self._files.items():
            with contextlib.suppress(OSError):  # a full disk refuses the flush; the file goes anyway
                file.close()
            discard(self._temporary(suffix))
        self._files.clear()
        self._release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.abort()
        raise_if_full(error)

    @property
    def _claimed(self) -> Path:
        return self.folder / f".{self.stem}.claim"

    def _temporary(self, suffix: str) -> Path:
        attempt = f".{self._mark[-8:]}" if self._owner else ""
        return self.folder / f".{self.stem}{attempt}{suffix}.part"

    def _claim(self, taken_by: tuple[str, ...]) -> bool:
        """First the claim, then the look: who claims after us finds our files, who claimed before us still holds it."""
        endings = dict.fromkeys((*self.suffixes, *taken_by, ".json"))
        try:
            with writing():
                self._make_claim()
        except FileExistsError:
            if not self._owner or (_content(self._claimed) or b"").partition(b"\n")[0] != self._owner.encode():
                return False
            self._take_over()
        if any(os.path.lexists(self.path(ending)) for ending in endings) and not self._owns(self.path(".json")):
            discard(self._claimed)
            return False
        self._holds.enter_context(Hold(self._claimed))
        return True

    def _make_claim(self) -> None:
        if not self._owner:
            self._claimed.open("xb").close()
            return
        whole = self.folder / f".{secrets.token_hex(8)}.part"  # no claim is ever seen without its owner's name
        try:
            whole.write_bytes(self._mark.encode())
            publish(whole, self._claimed)
        finally:
            discard(whole)

    def _take_over(self) -> None:
        """The claim is ours from now on, and what the earlier attempt had begun is gone."""
        with writing():
            write_whole(self._claimed, self._mark.encode())
        begun = re.compile(re.escape(f".{self.stem}.") + r"[0-9a-f]{8}(\.|_).*\.part")
        for entry in list(os.scandir(self.folder)):
            if begun.fullmatch(entry.name):
                discard(Path(entry.path))

    def _claim_is_ours(self) -> bool:
        return not self._owner or _content(self._claimed) == self._mark.encode()

    def _release(self) -> None:
        if self._claim_is_ours():
            discard(self._claimed)
        self._holds.close()

    def _owns(self, sidecar: Path) -> bool:
        """Whether what is there was put there by an earlier attempt of the same owner."""
        if not self._owner:
            return False
        try:
            told = json.loads(_content(sidecar) or b"{}")
        except ValueError:
            return False
        return isinstance(told, dict) and told.get(OWNER) == self._owner


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def sync(path: Path) -> None:
    """Makes what is in the file survive a power cut."""
    descriptor = os.open(path, os.O_RDWR | getattr(os, "O_BINARY", 0))  # Windows syncs only what is open for writing
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def publish(temporary: Path, final: Path) -> None:
    """Gives a file its name unless the name is taken: FileExistsError."""
    if os.name == "nt":
        temporary.rename(final)  # never overwrites there
        return
    try:
        final.hardlink_to(temporary)
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if os.path.lexists(final):  # the claim keeps our own writers out between this look and the rename
            raise FileExistsError(errno.EEXIST, "exists") from error
        temporary.rename(final)
        return
    temporary.unlink()


def overwrite(temporary: Path, final: Path) -> None:
    """Gives a file its name, whoever has it. Both are the same work's, so one that cannot be replaced may stay."""
    try:
        temporary.replace(final)
    except PermissionError:
        if os.name != "nt" or not final.exists():
            raise
        discard(temporary)  # somebody is reading the other


def discard(path: Path) -> None:
    """Removes the file if it is there; what cannot be removed now is the sweep's."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:  # still open on Windows: the next sweep takes it
        _log.warning("cannot remove %s: %s", path.name, error.strerror)
