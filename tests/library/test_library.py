"""Voices know themselves, uses are counted, sidecars of any origin are survived, a fresh folder is claimed once."""

import json
import logging
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from chatterbox_plus.errors import NotFound, PermissionDenied, SettingsError
from chatterbox_plus.library.library import MARKER, Library, output_url
from chatterbox_plus.library.records import Generation, timestamp
from tests.library.worker import data_folder

WORKER = [sys.executable, str(Path(__file__).with_name("worker.py"))]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def library(data: Path) -> Library:
    return data_folder(data)


def add(library: Library, name: str, sidecar: object = None) -> Path:
    path = library.voices.root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"sound")
    if sidecar is not None:
        path.with_name(path.name + ".json").write_text(
            sidecar if isinstance(sidecar, str) else json.dumps(sidecar), encoding="utf-8"
        )
    return path


def test_a_voice_has_what_its_sidecar_says(library):
    add(library, "book/anna.wav", {"name": "Anna", "description": "calm", "tags": ["x", "y"], "usage_count": 3,
        "last_used": "2025-01-01T00:00:00Z", "default_parameters": {"temperature": 0.6, "seed": None}})  # fmt: skip
    voice = library.voice("anna")
    assert (voice.url, voice.name, voice.description, voice.tags) == ("book/anna.wav", "Anna", "calm", ("x", "y"))
    assert (voice.usage_count, voice.last_used) == (3, "2025-01-01T00:00:00Z")
    assert voice.default_parameters == {"temperature": 0.6}


@pytest.mark.parametrize(
    "sidecar",
    [None, "", "{", "[]", "null", '"text"', "[" * 100_000, '{"usage_count": NaN}', '{"usage_count": "many", "tags": 5}',
     '{"description": null, "name": null, "tags": null, "default_parameters": null, "usage_count": null}',
     '{"usage_count": -3, "default_parameters": [1], "tags": [null, " "], "name": 7, "last_used": {}}',
     '{"usage_count": true}', '{"usage_count": Infinity}'],
)  # fmt: skip
def test_no_sidecar_breaks_a_voice(library, sidecar):
    add(library, "anna.wav", sidecar)
    voice = library.voice("anna")
    assert (voice.name, voice.description, voice.tags) == ("anna", "Voice file: anna", ())
    assert (voice.usage_count, voice.default_parameters, voice.last_used) == (0, {}, None)


def test_an_unreadable_sidecar_is_said_in_the_log_without_its_folder(library, caplog):
    add(library, "anna.wav", "{")
    with caplog.at_level(logging.WARNING):
        library.voice("anna")
    assert "anna.wav.json" in caplog.text
    assert str(library.voices.root) not in caplog.text


def test_another_content_has_another_key(library):
    path = add(library, "anna.wav")
    first = library.voice("anna")
    assert library.voice("anna.wav").key == first.key
    path.write_bytes(b"other sound")
    assert library.voice("anna").key != first.key


def test_missing_files_are_named_as_asked_with_their_folder(library):
    with pytest.raises(NotFound, match=r"^Audio file not found: nobody\.wav in reference_audio$"):
        library.voice("nobody.wav")
    with pytest.raises(NotFound, match=r"^Audio file not found: x in vc_inputs$"):
        library.inputs.resolve("x")
    with pytest.raises(NotFound, match=r"^File not found: x\.wav$"):
        library.outputs.resolve("x.wav")


def test_no_use_is_lost_when_eight_threads_count(library):
    add(library, "anna.wav", {"description": "calm", "usage_count": 2})
    voice = library.voice("anna")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: library.note_use(voice), range(80)))
    after = library.voice("anna")
    assert (after.usage_count, after.description) == (82, "calm")
    used = datetime.fromisoformat(str(after.last_used))
    assert used.utcoffset() == datetime.now(UTC).utcoffset()
    assert str(after.last_used).endswith("Z")
    assert [p.name for p in library.voices.root.iterdir() if p.name.startswith(".")] == []


def test_the_first_use_makes_a_sidecar_beside_the_voice(library):
    add(library, "book/anna.wav")
    library.note_use(library.voice("anna"))
    assert library.voice("anna").usage_count == 1
    assert (library.voices.root / "book" / "anna.wav.json").is_file()


def test_counting_keeps_what_a_sidecar_of_the_other_name_says(library):
    path = add(library, "anna.wav")
    path.with_suffix(".json").write_text('{"description": "calm"}')
    library.note_use(library.voice("anna"))
    assert (library.voice("anna").usage_count, library.voice("anna").description) == (1, "calm")


def test_counting_never_destroys_a_sidecar_that_cannot_be_read(library):
    """A missing bracket must not cost somebody's descriptions."""
    path = add(library, "anna.wav", '{"description": "mine"')
    library.note_use(library.voice("anna"))
    assert path.with_name("anna.wav.json").read_text() == '{"description": "mine"'


def test_a_use_is_counted_only_inside(library, tmp_path):
    voice = library.voice(add(library, "anna.wav").name)
    (tmp_path / "other.wav").write_bytes(b"x")
    outside = type(voice).of(tmp_path / "other.wav", "other.wav", {})
    with pytest.raises(PermissionDenied):
        library.note_use(outside)
    assert not (tmp_path / "other.wav.json").exists()


@pytest.mark.parametrize("place", ["p/take_temp0.75.json", "p/take_temp0.75.wav.json", "take_temp0.75.json"])
def test_the_sidecar_of_an_output_is_found_under_every_name_it_ever_had(library, place):
    """Ours, the lister's of the original, and the root of outputs where the original put those of projects."""
    for name, content in (("p/take_temp0.75.wav", "sound"), (place, '{"type": "tts"}')):
        path = library.outputs.root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
    assert library.outputs.read_sidecar(library.outputs.resolve("take_temp0.75")) == {"type": "tts"}


def test_a_generation_is_written_as_the_contract_says():
    when = datetime(2025, 6, 22, 14, 30, 22, 456, tzinfo=UTC)
    made = Generation("vc", {"chunk_sec": 60}, {"processing_time_seconds": 1.5}, {"wav": "a.wav"}, when=when)
    assert made.as_json() == {
        "type": "vc",
        "parameters": {"chunk_sec": 60},
        "generation_info": {"processing_time_seconds": 1.5},
        "files": {"wav": "a.wav"},
        "timestamp": "2025-06-22T14:30:22.000456Z",
    }


def test_any_text_survives_a_sidecar(library):
    value = {"text": "grüß 你好 😀 \u202e \ud800 \x00", "nested": {"n": [1, 2.5, None]}}
    path = library.outputs.root / "a.json"
    library.outputs.write_json(path, value)
    assert library.outputs.read_json(path) == value
    with pytest.raises(ValueError):
        library.outputs.write_json(path, {"loudness": float("-inf")})  # would be no JSON
    assert library.outputs.read_json(path) == value


@pytest.mark.parametrize(
    ("relative", "url"),
    [
        ("book/ch1/tts_x_temp0.75.mp3", "/outputs/book/ch1/tts_x_temp0.75.mp3"),
        ("a:b|c.wav", "/outputs/a%3Ab%7Cc.wav"),
        ("größe 1/声.wav", "/outputs/gr%C3%B6%C3%9Fe%201/%E5%A3%B0.wav"),
        ("100%?#&.wav", "/outputs/100%25%3F%23%26.wav"),
        ("\udcff.wav", "/outputs/%FF.wav"),
    ],
)
def test_the_url_of_an_output_is_ascii_without_colon_or_bar(relative, url):
    assert output_url(relative) == url


def test_temporary_files_go_with_their_request(library, data):
    with library.temporary() as mine, library.temporary() as other:
        paths = [files.path(".wav") for files in (mine, mine, other)]
        for path in paths:
            path.write_bytes(b"upload")
        assert len(set(paths)) == 3
    assert list((data / "temp").iterdir()) == []


def test_the_sweep_removes_abandoned_requests_and_leaves_the_rest(library, data):
    old, busy, new = (f"request-{digit * 16}" for digit in "0bf")
    for name in (old, busy, new, "theirs", "request-theirs"):
        (data / "temp" / name).mkdir()
        (data / "temp" / name / "x.wav").write_bytes(b"x")
    for name in (old, f"{old}/x.wav", busy, "theirs", "theirs/x.wav", "request-theirs", "request-theirs/x.wav"):
        os.utime(data / "temp" / name, (0, 0))
    assert library.sweep() == 1
    assert {p.name for p in (data / "temp").iterdir()} == {busy, new, "theirs", "request-theirs"}


def test_starter_files_are_made_once_and_stay_deleted(library):
    with library.first_start() as fresh:
        assert fresh
        add(library, "speaker1.wav").unlink()
    with library.first_start() as fresh:
        assert not fresh


@pytest.mark.parametrize(
    "present", ["reference_audio/mine.wav", "outputs/p/a.mp3", "vc_inputs/x.flac", "outputs/a.json"]
)
def test_an_installation_with_files_is_not_fresh_even_once_emptied(library, data, present):
    (data / present).parent.mkdir(exist_ok=True)
    (data / present).write_bytes(b"x")
    with library.first_start() as fresh:
        assert not fresh
    (data / present).unlink()
    with library.first_start() as fresh:
        assert not fresh


def test_a_folder_with_only_hidden_files_is_fresh(library, data):
    (data / "outputs" / ".gitkeep").touch()
    with library.first_start() as fresh:
        assert fresh


def test_a_first_start_that_failed_is_taken_up_by_the_next(library):
    def failing():
        with library.first_start():
            add(library, "speaker1.wav")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        failing()
    with library.first_start() as fresh:
        assert fresh
    with library.first_start() as fresh:
        assert not fresh


def test_a_first_start_that_was_killed_is_taken_up_by_the_next(library, data):
    assert subprocess.run([*WORKER, "start-and-die", str(data)], timeout=60).returncode == 9
    with library.first_start() as fresh:
        assert fresh


def test_of_two_starts_at_once_one_makes_the_files(data):
    starts = [
        subprocess.Popen([*WORKER, "start", str(data)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(3)
    ]
    told = [json.loads(start.stdout.readline()) for start in starts]
    for start in starts:
        start.communicate(b"\n", timeout=60)
    assert sorted(told) == [False, False, True]


def test_threads_too_are_told_once(library):
    def start(_):
        with library.first_start() as fresh:
            return fresh

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(start, range(8))) == 1


@pytest.mark.parametrize("marker", ["", "[]", '{"starter_files": "unfinished", "owner": {"pid": "x"}}'])
def test_a_damaged_marker_stops_nobody(library, data, marker):
    (data / MARKER).write_text(marker)
    with library.first_start() as fresh:
        assert fresh is ("unfinished" in marker)


def test_a_folder_that_cannot_be_made_is_a_matter_of_settings(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(SettingsError) as error:
        data_folder(tmp_path / "file")
    assert str(tmp_path) not in error.value.message


def test_timestamps_are_utc_with_z():
    assert timestamp(datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC)) == "2025-01-02T03:04:05.000000Z"
