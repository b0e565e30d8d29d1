"""Presets: kept whole or not at all, one for each name in any case, each project its own."""

import json
import threading
from pathlib import Path

import pytest

from chatterbox_plus.errors import BadRequest, FileExists, InvalidOption, NotFound, PermissionDenied
from chatterbox_plus.library import presets as room
from chatterbox_plus.library.presets import Presets


@pytest.fixture
def presets(tmp_path: Path) -> Presets:
    return Presets(tmp_path / "presets")


def names(shelf: Presets) -> list[str]:
    return [preset.name for preset in shelf.all()]


def test_what_was_saved_is_found_by_name_in_any_case(presets: Presets) -> None:
    saved = presets.save("Ruhig, Ä", "speech", {"seed": 7})
    assert presets.get("ruhig, ä") == presets.get("Ruhig, A\u0308") == saved
    assert presets.all() == [saved]


def test_saving_again_replaces_and_keeps_the_first_date(presets: Presets) -> None:
    first = presets.save("one", "speech", {"seed": 7})
    second = presets.save("ONE", "joining", {"trim": True})
    assert second.created == first.created
    assert second.updated >= first.updated
    assert [(p.kind, dict(p.options)) for p in presets.all()] == [("joining", {"trim": True})]


def test_nothing_is_replaced_against_ones_will(presets: Presets) -> None:
    presets.save("one", "speech", {"seed": 7})
    with pytest.raises(FileExists):
        presets.save("One", "speech", {"seed": 8}, overwrite=False)
    assert presets.get("one").options == {"seed": 7}


def test_of_many_that_save_at_once_one_wins(presets: Presets) -> None:
    won: list[int] = []

    def save(number: int) -> None:
        try:
            presets.save("one", "speech", {"seed": number}, overwrite=False)
            won.append(number)
        except FileExists:
            pass

    threads = [threading.Thread(target=save, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [presets.get("one").options["seed"]] == won


@pytest.mark.parametrize("name", ["", " ", ".hidden", "a/b", "a\\b", "a:b", "nul", "x" * 101, "a\0b", "end.", "a\nb"])
def test_what_cannot_be_a_name_everywhere_is_refused(presets: Presets, tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidOption):
        presets.save(name, "speech", {})
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_no_name_leads_out(presets: Presets, tmp_path: Path) -> None:
    (tmp_path / "secret.json").write_text('{"kind": "speech", "options": {}}')
    for name in ("../../secret", "../secret"):
        with pytest.raises(NotFound):
            presets.get(name)
        with pytest.raises((InvalidOption, PermissionDenied)):
            presets.save(name, "speech", {})


def test_each_project_has_its_own(presets: Presets) -> None:
    anna, ben = presets.within("anna"), presets.within("team/ben")
    anna.save("one", "speech", {"seed": 1})
    ben.save("one", "speech", {"seed": 2})
    assert (names(presets), names(anna), names(ben)) == ([], ["one"], ["one"])
    ben.delete("one")
    assert anna.get("one").options == {"seed": 1}


def test_what_is_deleted_is_gone(presets: Presets) -> None:
    presets.save("one", "speech", {})
    presets.delete("ONE")
    assert names(presets) == []
    with pytest.raises(NotFound):
        presets.delete("one")


def test_a_damaged_file_hides_no_other(presets: Presets, tmp_path: Path) -> None:
    presets.save("good", "speech", {})
    folder = tmp_path / "presets" / "house"
    (folder / "bad.json").write_text("{")
    (folder / "list.json").write_text("[]")
    (folder / "deep.json").write_text("[" * 100_000)
    assert names(presets) == ["good"]
    presets.save("bad", "speech", {"seed": 1})  # is repaired by saving it anew
    assert names(presets) == ["bad", "good"]


def test_there_is_an_end_to_them(presets: Presets, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "MAX_PRESETS", 2)
    for name in ("a", "b", "a"):
        presets.save(name, "speech", {})
    with pytest.raises(BadRequest):
        presets.save("c", "speech", {})


def test_a_file_is_plain_json(presets: Presets, tmp_path: Path) -> None:
    presets.save("one", "speech", {"seed": 7})
    told = json.loads((tmp_path / "presets" / "house" / "one.json").read_text("utf-8"))
    assert (told["name"], told["kind"], told["options"]) == ("one", "speech", {"seed": 7})
