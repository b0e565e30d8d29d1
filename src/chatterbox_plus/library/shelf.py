"""What a store asks of the servers beside this one: nothing, as long as there are none.

`Shelf` is that of a house on its own, and costs nothing; `shared_shelf` is for several with their audio in common.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chatterbox_plus.library.writing import Reservation, write_whole


class Shelf:
    """A folder that nobody else has."""

    shared = False

    def bring(self, path: Path, beside: Path | None = None) -> bool:
        """Fetches a file that is not here, and the one beside it first; whether it is here now. Raises StorageAway."""
        return False

    def look(self) -> bool:
        """Asks what is new, unless that was asked a moment ago; whether it was."""
        return False

    def renew(self, *paths: Path) -> None:
        """Brings files here up to date before they are changed. Raises StorageAway."""

    def put(self, path: Path, source: Path, *, new: bool = False) -> None:
        """Gives others what will be at `path`; source: the file that is about to be moved there, whole and closed.

        new: only if nobody has such a file. Raises FileExistsError then, StorageAway.
        """

    def write(self, path: Path, data: bytes, *, later: bool = False) -> None:
        """Replaces the file, here and for others; in one step for each. later: others may have it in a few seconds.

        Raises StorageFull, StorageAway; then nothing has changed.
        """
        write_whole(path, data)

    @contextmanager
    def removing(self, path: Path) -> Iterator[None]:
        """Removes the file for others, lets the block remove it here. Raises StorageAway before the block."""
        yield

    @contextmanager
    def moving(self, path: Path, target: Path, *also: Path) -> Iterator[None]:
        """Lets the block move the file here, and moves it for others. also: what else the block writes or removes.

        Raises FileExistsError, StorageAway before the block.
        """
        yield

    def take_back(self, *paths: Path) -> None:
        """Removes for others what was put and could not be finished; if that fails, they keep it."""

    def drop_folder(self, folder: Path) -> None:
        """Removes for others everything below a folder of the root's; if that fails, they keep it."""

    def reservation(
        self,
        folder: Path,
        stem: str,
        suffixes: tuple[str, ...],
        *,
        taken_by: tuple[str, ...],
        numbered: bool,
        owner: str | None,
    ) -> Reservation:
        """See `Reservation`."""
        return Reservation(folder, stem, suffixes, taken_by=taken_by, numbered=numbered, owner=owner)


ALONE = Shelf()
