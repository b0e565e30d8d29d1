"""What retention removes and, above all, what it leaves alone."""

import logging
import os
import time
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from chatterbox_plus.library import survey
from chatterbox_plus.library.holds import Hold, held, remove
from chatterbox_plus.library.library import Library
from chatterbox_plus.library.retention import Policy, Retention
from chatterbox_plus.library.survey import Tally, tally

HOUR, DAY = 3600.0, 86_400.0
KB = 1000
DEAD = "request-" + "dead" * 4  # the folder of a request that crashed
TTS = "tts_2026-01-02_030405_000001_temp0.75"


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(*(tmp_path / name for name in ("reference_audio", "vc_inputs", "outputs", "temp")))


def put(path: Path, size: int, age_s: float) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(size))
    aged(path, age_s)
    return path


def aged(path: Path, age_s: float) -> None:
    when = time.time() - age_s
    os.utime(path, (when, when))


def generation(library: Library, name: str, age_s: float, formats: Iterable[str] = ("wav", "mp3")) -> None:
    """1 KB a format, a sidecar of 100 bytes."""
    for format in formats:
        put(library.outputs.root / f"{name}.{format}", KB, age_s)
    put(library.outputs.root / f"{name}.json", 100, age_s)


def tree(library: Library) -> set[str]:
    root = library.outputs.root.parent
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}


def gone(before: set[str], library: Library) -> set[str]:
    return before - tree(library)


def test_the_oldest_generations_go_as_a_whole_until_the_rest_fits(library: Library) -> None:
    for age, name in enumerate(("new", "book/middle", "book/old", "oldest"), 2):
        generation(library, name, age * DAY)
    before = tree(library)
    report = Retention(library, Policy(outputs_max_bytes=2 * 2100)).run()
    expected = {f"outputs/{name}.{end}" for name in ("book/old", "oldest") for end in ("wav", "mp3", "json")}
    assert gone(before, library) == expected
    assert set(report["output_size_cleanup"].files) == expected
    assert report["output_size_cleanup"].bytes_freed == 4200


def test_an_uncut_file_goes_with_its_generation(library: Library) -> None:
    generation(library, f"{TTS}", 3 * DAY, ("mp3",))
    put(library.outputs.root / f"{TTS}_uncut.wav", KB, 3 * DAY)
    Retention(library, Policy(outputs_max_bytes=1)).run()
    assert tree(library) == set()


def test_a_generation_in_use_or_younger_than_an_hour_stays(library: Library) -> None:
    for name, age_s in (("in_use", 9 * DAY), ("young", HOUR / 2), ("old", 2 * DAY)):
        generation(library, name, age_s)
    with Hold(library.outputs.root / "in_use.mp3"):  # one format of it is enough
        Retention(library, Policy(outputs_max_bytes=1)).run()
        assert {name.partition(".")[0] for name in tree(library)} == {"outputs/in_use", "outputs/young"}
    Retention(library, Policy(outputs_max_bytes=1)).run()
    assert {name.partition(".")[0] for name in tree(library)} == {"outputs/young"}


def test_what_was_put_into_outputs_by_hand_stays_and_counts(library: Library) -> None:
    put(library.outputs.root / "intro.wav", 5 * KB, 100 * DAY)
    put(library.outputs.root / "notes.txt", KB, 100 * DAY)
    generation(library, "made", DAY)
    before = tree(library)
    Retention(library, Policy(outputs_max_bytes=5 * KB)).run()
    assert gone(before, library) == {"outputs/made.wav", "outputs/made.mp3", "outputs/made.json"}


def test_whoever_runs_the_server_sees_in_the_log_what_went(library: Library, caplog: pytest.LogCaptureFixture) -> None:
    generation(library, "book/old", 3 * DAY)
    with caplog.at_level(logging.WARNING):
        Retention(library, Policy(outputs_max_bytes=1)).run(dry_run=True)
        assert not caplog.records
        Retention(library, Policy(outputs_max_bytes=1)).run()
    assert "output_size_cleanup: removed outputs/book/old (3 files, 2100 bytes)" in caplog.text


def test_generations_of_the_original_are_known_by_name_or_by_a_sidecar_at_the_root(library: Library) -> None:
    put(library.outputs.root / f"{TTS}.wav", KB, DAY)
    put(library.outputs.root / "book/final.wav", KB, DAY)
    put(library.outputs.root / "final.json", 100, DAY)
    Retention(library, Policy(outputs_max_bytes=1)).run()
    assert tree(library) == set()


def test_inputs_and_voices_stay_unless_a_size_for_inputs_is_set(library: Library) -> None:
    for folder, age in (("vc_inputs", 3), ("reference_audio", 9)):
        for name in ("a", "b"):
            put(library.outputs.root.parent / folder / f"{name}.wav", KB, age * DAY)
            put(library.outputs.root.parent / folder / f"{name}.wav.json", 10, age * DAY)
            age += 1
    before = tree(library)
    everything = Policy(outputs_max_bytes=1, temp_max_files=1, temp_max_age_s=1)
    Retention(library, everything).run()
    Retention(library, everything).run("old_files", max_age_s=1)
    assert gone(before, library) == set()
    Retention(library, Policy(inputs_max_bytes=1500)).run()
    assert gone(before, library) == {"vc_inputs/b.wav", "vc_inputs/b.wav.json"}


def test_temporary_files_go_by_age_and_by_count_but_never_those_of_a_running_request(library: Library) -> None:
    put(library.temp / "download_1.wav", KB, 9 * DAY)
    for n in range(4):
        put(library.temp / f"chunk{n}.wav", KB, (2 + n) * HOUR)
    crashed = put(library.temp / DEAD / "upload.wav", KB, 8 * DAY)
    aged(crashed.parent, 8 * DAY)
    with library.temporary() as running:
        put(running.path(".wav"), KB, 30 * DAY)
        aged(running.folder, 30 * DAY)
        report = Retention(library, Policy(temp_max_files=3, temp_max_age_s=7 * DAY)).run()
        assert set(report["temp_age_cleanup"].files) == {"temp/download_1.wav", f"temp/{DEAD}/upload.wav"}
        assert report["temp_age_cleanup"].folders == 1
        assert report["temp_count_cleanup"].files == ["temp/chunk3.wav", "temp/chunk2.wav"]
        assert len(list(running.folder.iterdir())) == 1


def test_in_a_folder_that_is_not_ours_alone_only_our_own_temporary_files_go(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    library = Library(*(tmp_path / "data" / name for name in ("voices", "inputs", "outputs")), elsewhere)
    foreign = put(elsewhere / "foreign.wav", KB, 99 * DAY)
    namesake = put(elsewhere / "request-of-another-program" / "upload.wav", KB, 99 * DAY)
    aged(namesake.parent, 99 * DAY)
    ours = put(elsewhere / DEAD / "upload.wav", KB, 99 * DAY)
    aged(ours.parent, 99 * DAY)
    Retention(library, Policy(temp_max_files=1, temp_max_age_s=1)).run()
    assert foreign.exists()
    assert namesake.exists()
    assert not ours.parent.exists()


def test_leftovers_of_crashed_writers_go(library: Library) -> None:
    put(library.outputs.root / "book" / ".0123456789abcdef.part", KB, DAY)
    put(library.voices.root / ".fresh.part", KB, HOUR / 2)
    report = Retention(library, Policy()).run()
    assert report["corrupted_files_cleanup"].bytes_freed == KB
    assert tree(library) == {"reference_audio/.fresh.part"}


def test_a_generation_that_takes_long_is_no_leftover(library: Library) -> None:
    """Its hidden files may lie untouched for hours, until the last passage is there."""
    with library.outputs.reserve("", "slow", (".wav",)) as place:
        place.open(".wav").write(b"sound")
        for path in library.outputs.root.iterdir():
            aged(path, DAY)
        assert Retention(library, Policy()).run()["corrupted_files_cleanup"].files == []
        assert library.sweep() == 0
        place.commit()
    assert tree(library) == {"outputs/slow.wav"}


@pytest.mark.parametrize("target", ["all", "outputs", "temp", "old_files"])
def test_a_dry_run_removes_nothing_and_says_what_a_real_one_then_removes(library: Library, target: str) -> None:
    generation(library, "old", 3 * DAY)
    generation(library, "young", DAY)
    for n in range(4):
        put(library.temp / f"chunk{n}.wav", KB, (1 + n) * DAY)
    put(library.outputs.root / ".left.part", KB, DAY)
    policy = Policy(outputs_max_bytes=2100, temp_max_files=2, temp_max_age_s=3.5 * DAY)
    before = tree(library)
    told = Retention(library, policy).run(target, max_age_s=2 * DAY, dry_run=True)  # type: ignore[arg-type]
    assert tree(library) == before
    done = Retention(library, policy).run(target, max_age_s=2 * DAY)  # type: ignore[arg-type]
    assert told == done
    assert gone(before, library) == {name for removed in done.values() for name in removed.files}
    assert gone(before, library)


def test_what_cannot_be_removed_is_reported_and_the_rest_goes_on(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    generation(library, "stuck", 3 * DAY)
    generation(library, "old", 2 * DAY)
    unlink = Path.unlink

    def refuse(path: Path, missing_ok: bool = False) -> None:
        if path.stem == "stuck":
            raise PermissionError(13, "Permission denied")
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", refuse)
    report = Retention(library, Policy(outputs_max_bytes=1)).run()
    assert report["output_size_cleanup"].errors == ["outputs/stuck: Permission denied"]
    assert {name.partition(".")[0] for name in tree(library)} == {"outputs/stuck"}


def test_what_two_hold_stays_until_both_let_go(tmp_path: Path) -> None:
    file = put(tmp_path / "folder" / "a.wav", 1, 0)
    first, second = Hold(file.parent), Hold(file)
    first.release()
    first.release()
    assert held(file)
    assert not remove([file])
    assert held(file.parent / "A.WAV"), "some file systems take that for the same"
    second.release()
    assert not held(file)
    assert remove([file])
    assert not file.exists()


def test_a_junction_is_no_folder_to_look_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows says of them that they are folders and no links; retention must not empty what they lead to."""
    monkeypatch.setattr(survey, "_WINDOWS", True)
    for tag, own in ((0, True), (0xA0000003, False)):
        entry = SimpleNamespace(
            is_dir=lambda follow_symlinks: True,
            stat=lambda follow_symlinks, tag=tag: SimpleNamespace(st_reparse_tag=tag),
        )
        assert survey.is_own_folder(cast("os.DirEntry[str]", entry)) is own


def test_a_tally_counts_what_counts_and_weighs_all(tmp_path: Path) -> None:
    for name in ("a.WAV", "a.json", "deep/er/b.mp3", ".hidden.wav"):
        put(tmp_path / name, 10, 0)
    assert tally(tmp_path, {".wav", ".mp3"}) == Tally(2, 30)
    assert tally(tmp_path / "missing") == Tally(0, 0)
