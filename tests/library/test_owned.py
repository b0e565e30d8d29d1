"""What an attempt at durable work left is the next one's; an attempt that was thought dead spoils nothing."""

import json
from pathlib import Path

import pytest

from chatterbox_plus.errors import Cancelled, FileExists
from chatterbox_plus.library import writing
from chatterbox_plus.library.store import Store
from chatterbox_plus.library.writing import OWNER, Reservation

MINE, OTHERS = "task_1", "task_2"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "outputs", sidecar_per_stem=True)


def attempt(store: Store, owner: str | None = MINE, *, numbered: bool = True) -> Reservation:
    return store.reserve("", "take", (".wav",), numbered=numbered, owner=owner)


def written(place: Reservation, sound: bytes) -> Reservation:
    place.open(".wav").write(sound)
    place.write_json({"n": 1})
    return place


def names(store: Store) -> set[str]:
    return {path.name for path in store.root.iterdir()}


def left_by_a_crash(place: Reservation) -> None:
    """Its process is gone: files stay as they are, and nothing tidies up."""
    for file in place._files.values():
        file.close()
    place._files.clear()


def test_the_owner_stands_in_the_sidecar(store: Store) -> None:
    with attempt(store) as place:
        written(place, b"sound").commit()
    assert json.loads((store.root / "take.json").read_bytes()) == {"n": 1, OWNER: MINE}
    assert names(store) == {"take.wav", "take.json"}


def test_a_claim_and_half_files_of_a_crash_are_taken_over(store: Store) -> None:
    left_by_a_crash(written(attempt(store), b"half"))
    assert len(names(store)) == 3
    with attempt(store) as place:
        assert len(names(store)) == 1, "only the claim is left"
        written(place, b"whole").commit()
    assert names(store) == {"take.wav", "take.json"}
    assert (store.root / "take.wav").read_bytes() == b"whole"


def test_a_sidecar_without_its_audio_is_completed(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The crash came between the two."""
    publish = writing.publish

    def crash(temporary: Path, final: Path) -> None:
        if final.suffix == ".wav":
            raise SystemExit
        publish(temporary, final)

    place = written(attempt(store), b"sound")
    with monkeypatch.context() as patch:
        patch.setattr(writing, "publish", crash)
        patch.setattr(writing, "discard", lambda _: None)
        with pytest.raises(SystemExit):
            place.commit()
    assert "take.json" in names(store)
    with attempt(store) as place:
        written(place, b"sound").commit()
    assert names(store) == {"take.wav", "take.json"}


def test_finished_files_keep_their_names_and_are_never_missing(store: Store) -> None:
    """The crash came after the commit and before anybody was told."""
    with attempt(store) as place:
        written(place, b"sound").commit()
    with attempt(store) as place:
        written(place, b"sound")
        assert (store.root / "take.wav").read_bytes() == b"sound"
        place.commit()
    assert names(store) == {"take.wav", "take.json"}


def test_an_attempt_that_is_called_off_leaves_what_was_finished(store: Store) -> None:
    with attempt(store) as place:
        written(place, b"sound").commit()
    with attempt(store) as place:
        written(place, b"sound")
    assert names(store) == {"take.wav", "take.json"}


def test_another_owners_claim_and_files_are_left_alone(store: Store) -> None:
    with attempt(store, OTHERS) as theirs, attempt(store) as place:
        assert place.stem == "take_2"
        written(place, b"mine").commit()
        written(theirs, b"theirs").commit()
    with attempt(store, "task_3") as third:
        assert third.stem == "take_3"
    with pytest.raises(FileExists):
        attempt(store, numbered=False, owner="task_3")
    assert (store.root / "take.wav").read_bytes() == b"theirs"


@pytest.mark.parametrize("sidecar", [b"{}", b"[1]", b"not json", None])
def test_files_that_nobody_owns_are_left_alone(store: Store, sidecar: bytes | None) -> None:
    (store.root / "take.wav").write_bytes(b"by hand")
    if sidecar is not None:
        (store.root / "take.json").write_bytes(sidecar)
    with attempt(store) as place:
        assert place.stem == "take_2"
        written(place, b"mine").commit()
    assert (store.root / "take.wav").read_bytes() == b"by hand"


def test_work_without_an_owner_takes_nothing_over(store: Store) -> None:
    left_by_a_crash(written(attempt(store), b"half"))
    with attempt(store, None) as place:
        assert place.stem == "take_2"


def test_an_attempt_that_wakes_up_late_cannot_commit(store: Store) -> None:
    """Its server stood still for so long that another went on with the work."""
    late = written(attempt(store), b"late")
    with attempt(store) as place:
        written(place, b"sound")
        with pytest.raises(Cancelled):
            late.commit()
        assert place.commit()
    assert (store.root / "take.wav").read_bytes() == b"sound"
    assert names(store) == {"take.wav", "take.json"}


def test_an_attempt_that_leaves_late_takes_nothing_with_it(store: Store) -> None:
    late = written(attempt(store), b"late")
    with attempt(store) as place:
        written(place, b"sound")
        late.abort()
        place.commit()
    assert names(store) == {"take.wav", "take.json"}


def test_an_attempt_that_stood_still_between_two_files_takes_nothing_back(store: Store) -> None:
    publish = writing.publish
    late = written(attempt(store), b"sound")

    def stands_still(temporary: Path, final: Path) -> None:
        publish(temporary, final)
        if final.suffix == ".json":
            patch.undo()
            with attempt(store) as place:
                written(place, b"sound").commit()

    patch = pytest.MonkeyPatch()
    patch.setattr(writing, "publish", stands_still)
    with pytest.raises(Cancelled):
        late.commit()
    assert names(store) == {"take.wav", "take.json"}
    assert (store.root / "take.wav").read_bytes() == b"sound"
