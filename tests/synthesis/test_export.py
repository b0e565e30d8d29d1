"""What is told of the files of a generation."""

from pathlib import Path

import numpy as np
import pytest

from chatterbox_plus.library.store import Store
from chatterbox_plus.library.writing import Reservation
from chatterbox_plus.synthesis.export import Export, Sound, suffixes


def made(store: Store) -> Export:
    export = Export(store, store.reserve("", "take", suffixes(("wav", "mp3"))), ("wav", "mp3"), Sound(24_000))
    export.push(np.zeros(24_000, np.float32))
    export.finish()
    return export


def test_the_sizes_are_those_of_the_files(tmp_path: Path) -> None:
    store = Store(tmp_path, sidecar_per_stem=True)
    assert {file.filename: file.size_bytes for file in made(store).commit({})} == {
        name: (tmp_path / name).stat().st_size for name in ("take.wav", "take.mp3")
    }


def test_what_is_deleted_the_moment_it_is_there_was_made_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = Reservation.commit

    def and_delete(reservation: Reservation) -> dict[str, Path]:
        placed = commit(reservation)
        for path in placed.values():
            path.unlink()
        return placed

    monkeypatch.setattr(Reservation, "commit", and_delete)
    assert [file.filename for file in made(Store(tmp_path, sidecar_per_stem=True)).commit({})] == [
        "take.wav",
        "take.mp3",
    ]
