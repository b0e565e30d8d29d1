"""`batch`: every row a file, whatever stops it in between, and nobody else's file touched."""

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from chatterbox_plus.cli import main
from chatterbox_plus.commands import batch_manifest
from chatterbox_plus.commands.batch_manifest import MANIFEST, Entry, Manifest
from chatterbox_plus.errors import BadRequest
from tests.cli.helpers import Shell, heard, tone
from tests.cli.terminal import at_a_terminal, stopped

needs_posix = pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One data folder for all: its starter files are made once."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture
def shell(tmp_path: Path, data: Path) -> Shell:
    (tmp_path / "work").mkdir()
    return Shell(tmp_path / "work", data)


@pytest.fixture
def run(shell: Shell, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """A command in this process, which is quicker: its status, stdout and stderr."""
    monkeypatch.chdir(shell.cwd)
    monkeypatch.setenv("CHATTERBOX_DATA_DIR", str(shell.data))

    def call(*words: str) -> tuple[int, str, str]:
        status = main(words)
        said = capfd.readouterr()
        return status, said.out, said.err

    return call


def table(shell: Shell, *lines: str, name: str = "lines.csv") -> None:
    (shell.cwd / name).write_text("\n".join(lines) + "\n", encoding="utf-8")


def files(shell: Shell, folder: str = "lines") -> dict[str, int]:
    """Name -> when it was put there, in ns; without the manifest."""
    return {p.name: p.stat().st_mtime_ns for p in (shell.cwd / folder).iterdir() if p.name != MANIFEST}


def states(told: str) -> dict[str, str]:
    return {row["name"]: row["state"] for row in json.loads(told)["rows"]}


def test_every_row_is_a_file_and_its_path_is_printed(shell: Shell) -> None:
    table(shell, "text,voice,name,speed_factor", "Hello there.,,hello,", "Again.,f3,,1.5", "Third.,de+f3,ünï,")
    done = shell("batch", "lines.csv", "--format", "wav", "--format", "flac")
    names = [f"{stem}.{format}" for stem in ("hello", "0002", "ünï") for format in ("wav", "flac")]
    paths = [str(Path("lines", name)) for name in names]
    assert (done.returncode, done.stdout.decode().splitlines(), done.stderr) == (0, paths, b"")
    assert sorted(files(shell)) == sorted(names)
    assert all(clip.duration_s > 0.2 for clip in heard([shell.cwd / path for path in paths]))


def test_a_row_sounds_as_say_says_it(shell: Shell, run: Run) -> None:
    tone(shell.cwd / "me.wav", 0.5, hz=200)
    table(shell, '{"text": "The same words.", "voice": "me.wav", "name": "row"}', name="lines.jsonl")
    assert run("batch", "lines.jsonl", "--speed", "1.2")[0] == 0
    assert run("say", "The same words.", "-v", "me.wav", "--speed", "1.2", "-o", "said.wav")[0] == 0
    assert (shell.cwd / "lines" / "row.wav").read_bytes() == (shell.cwd / "said.wav").read_bytes()
    assert not (shell.cwd / "me.wav.json").exists()  # nothing is noted about a file that is not stored


def test_run_again_it_makes_only_what_is_new_changed_or_gone(shell: Shell, run: Run) -> None:
    table(shell, "text,name", "One.,a", "Two.,b", "Three.,c")
    assert states(run("batch", "lines.csv", "--json")[1]) == dict.fromkeys("abc", "made")
    before = files(shell)
    (shell.cwd / "lines" / "b.wav").unlink()
    table(shell, "name,text", "c,Three times.", "a,One.", "b,Two.", "d,Four.")
    status, out, err = run("batch", "lines.csv", "--json")
    assert (status, err) == (0, "")
    assert states(out) == {"c": "made", "a": "kept", "b": "made", "d": "made"}
    assert files(shell)["a.wav"] == before["a.wav"]
    assert files(shell)["c.wav"] != before["c.wav"]
    assert states(run("batch", "lines.csv", "--json", "--speed", "2")[1]) == dict.fromkeys("cabd", "made")


def test_another_recording_under_the_same_name_makes_its_rows_anew(shell: Shell, run: Run) -> None:
    stored = shell.data / "reference_audio" / "stored.wav"
    stored.parent.mkdir(exist_ok=True)
    for hz in (200, 300):
        tone(shell.cwd / "me.wav", 0.5, hz)
        tone(stored, 0.5, hz)
        table(shell, "text,voice,name", "One.,me.wav,local", "One.,stored,stored", "One.,,plain")
        told = states(run("batch", "lines.csv", "--json", "--workers-at-once", "1")[1])
    stored.unlink()
    assert told == {"local": "made", "stored": "made", "plain": "kept"}


def test_a_file_that_was_not_made_here_is_never_overwritten_unless_forced(shell: Shell, run: Run) -> None:
    table(shell, "text,name", "One.,a", "Two.,b", "Three.,c")
    (shell.cwd / "lines").mkdir()
    (shell.cwd / "lines" / "b.wav").write_bytes(b"mine")
    status, out, err = run("batch", "lines.csv")
    assert (status, out.splitlines()) == (1, [str(Path("lines", "a.wav")), str(Path("lines", "c.wav"))])
    assert err.startswith("chatterbox-plus: line 3, b: b.wav is there already")
    assert err.count("\n") == 1
    assert (shell.cwd / "lines" / "b.wav").read_bytes() == b"mine"
    forced = states(run("batch", "lines.csv", "--force", "--json")[1])
    assert forced == {"a": "kept", "b": "made", "c": "kept"}
    assert heard([shell.cwd / "lines" / "b.wav"])[0].duration_s > 0.2


def test_what_a_person_changed_by_hand_is_theirs(shell: Shell, run: Run) -> None:
    table(shell, "text,name", "One.,a")
    run("batch", "lines.csv")
    tone(shell.cwd / "lines" / "a.wav", 0.1)
    edited = (shell.cwd / "lines" / "a.wav").read_bytes()
    assert states(run("batch", "lines.csv", "--json")[1]) == {"a": "kept"}
    table(shell, "text,name", "Another one.,a")
    assert run("batch", "lines.csv")[0] == 1
    assert (shell.cwd / "lines" / "a.wav").read_bytes() == edited


def test_a_row_that_fails_stops_no_other_and_only_it_is_tried_again(shell: Shell, run: Run) -> None:
    (shell.cwd / "bad.wav").write_bytes(b"RIFF nonsense" * 100)
    table(shell, "text,voice,name", "One.,,a", '"Two,\nin two lines.",bad.wav,b', "Three.,bad.wav,c", "Four.,,d")
    status, out, err = run("batch", "lines.csv")
    assert (status, out.splitlines()) == (1, [str(Path("lines", "a.wav")), str(Path("lines", "d.wav"))])
    assert [line.split(":")[1].strip() for line in err.splitlines()] == ["line 3, b", "line 5, c"]
    before = files(shell)
    tone(shell.cwd / "bad.wav", 0.5, hz=200)
    again = run("batch", "lines.csv", "--json", "--workers-at-once", "1")
    assert (again[0], states(again[1])) == (0, {"a": "kept", "b": "made", "c": "made", "d": "kept"})
    assert before.items() <= files(shell).items()


def test_all_that_is_wrong_with_a_table_is_told_a_line_each_and_nothing_is_made(shell: Shell, run: Run) -> None:
    table(shell, "text,voice,speed_factor", "One.,nobody,1", "Two.,./gone.wav,1", "Three.,,1", "Four.,nobody,1")
    status, out, err = run("batch", "lines.csv")
    assert (status, out) == (1, "")
    assert err.splitlines() == [
        "chatterbox-plus: line 2, reference_audio_filename: voice not found: nobody",
        "chatterbox-plus: line 3, voice: there is no file: ./gone.wav",
        "chatterbox-plus: line 5, reference_audio_filename: voice not found: nobody",
    ]
    table(shell, "text,speed_factor", "One.,9", ",1", "Three.,x")
    told = json.loads(run("batch", "lines.csv", "--json")[1])
    assert (told["success"], told["error_code"]) == (False, "VALIDATION_ERROR")
    assert [problem["place"] for problem in told["details"]] == ["2.speed_factor", "3.text", "4.speed_factor"]
    assert shell.names() == ["lines.csv"]


def test_a_project_is_a_folder_below_and_leads_nowhere_else(shell: Shell, run: Run) -> None:
    table(shell, "text,project,name", "One.,part 1/x,a", "Two.,,b")
    assert run("batch", "lines.csv", "-o", "out")[1].splitlines() == [
        str(Path("out", "part 1", "x", "a.wav")),
        str(Path("out", "b.wav")),
    ]
    table(shell, "text,project", "One.,a/../../b")
    status, _, err = run("batch", "lines.csv", "-o", "out")
    assert (status, "leads out" in err) == (1, True)


def test_rows_without_a_name_are_numbered_past_names_that_look_so(run: Run, shell: Shell) -> None:
    table(shell, "text,name", "One.,0002", "Two.,", "Three.,")
    assert list(states(run("batch", "lines.csv", "--json")[1])) == ["0002", "0002_", "0003"]


def test_a_table_comes_from_a_pipe_too_and_remarks_are_made_once(shell: Shell) -> None:
    rows = b'{"text": "One.", "temperature": 0.5, "timestamps": true}\n{"text": "Two.", "temperature": 0.5}\n'
    done = shell("batch", "-", "-o", "piped", stdin=rows)
    assert done.returncode == 0
    assert sorted(files(shell, "piped")) == ["0001.wav", "0002.wav"]
    notes = done.stderr.decode().splitlines()
    assert [note.split(" had")[0] for note in notes] == ["note: temperature", "note: timestamps"]
    quiet = shell("batch", "-", "-o", "quiet", "--quiet", stdin=rows)
    assert (quiet.returncode, quiet.stderr) == (0, b"")


LONG = [
    "text,name",
    *(f"Row {n} goes on for a while and then a little longer still. {'And on. ' * 120},row{n}" for n in range(6)),
]


@needs_posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_stopped_it_leaves_no_half_file_in_place_and_goes_on_when_run_again(
    shell: Shell, number: signal.Signals
) -> None:
    table(shell, *LONG)
    folder = shell.cwd / "lines"
    status, out, err = stopped(
        shell, "batch", "lines.csv", when=lambda: any(folder.glob("row*.wav")), by=number
    )  # fmt: skip
    assert (status, out) == (130 if number == signal.SIGINT else -number, b"")
    if number == signal.SIGINT:
        assert err.decode().startswith("Stopped: ")
        assert [name for name in files(shell) if name.endswith(".part")] == []
    there = {name: when for name, when in files(shell).items() if name.endswith(".wav")}
    assert 1 <= len(there) < 6
    again = shell("batch", "lines.csv", "--json")
    assert (again.returncode, again.stderr) == (0, b"")
    after = files(shell)
    told = states(again.stdout.decode())
    assert sum(state == "kept" for state in told.values()) >= len(there) - 1  # one may have just been entered
    assert all(after[name] == when for name, when in there.items() if told[name[:-4]] == "kept")
    lengths = [clip.duration_s for clip in heard([folder / f"row{n}.wav" for n in range(6)])]
    assert max(lengths) - min(lengths) < 1


@pytest.mark.skipif(sys.platform != "linux", reason="pseudo-terminals differ from system to system")
def test_a_bar_counts_rows_on_the_terminal_and_stdout_holds_paths_alone(shell: Shell) -> None:
    table(shell, *LONG[:3])
    status, out, seen = at_a_terminal(shell, "batch", "lines.csv")
    assert (status, out.decode().splitlines()) == (0, [str(Path("lines", f"row{n}.wav")) for n in range(2)])
    assert "Speaking" in seen
    assert "/2 rows" in seen


@pytest.mark.parametrize(
    "words, status, message",
    [
        (["lines.csv", "--format", "ogg"], 2, "invalid choice: 'ogg'"),
        (["lines.csv", "--workers-at-once", "0"], 2, "must be a number from 1 to 64"),
        (["lines.csv", "--speed", "9"], 2, "--speed-factor: should be less than or equal to 2"),
        (["gone.csv"], 1, "there is no file gone.csv"),
        (["lines.csv", "-o", "no/where"], 1, "there is no folder no"),
        (["lines.csv", "-o", "lines.csv"], 1, "lines.csv is a file: -o names a folder"),
        (["notes.pdf"], 1, "the file's name must end with one of"),
    ],
)
def test_wrong_usage_is_named(
    shell: Shell, run: Run, capfd: pytest.CaptureFixture[str], words: list[str], status: int, message: str
) -> None:
    table(shell, "text", "One.")
    (shell.cwd / "notes.pdf").write_bytes(b"%PDF")
    if status == 2:
        with pytest.raises(SystemExit):
            run("batch", *words)
        err = capfd.readouterr().err
    else:
        ended, _, err = run("batch", *words)
        assert ended == 1
    assert message in err.splitlines()[-1]
    assert shell.names() == ["lines.csv", "notes.pdf"]


# The manifest


def test_a_manifest_knows_after_a_crash_what_it_was_told_and_nothing_that_was_taken_back(tmp_path: Path) -> None:
    manifest = Manifest(tmp_path)
    first, second = Entry("1", {"a.wav": "x"}), Entry("2", {"a.wav": "y"})
    manifest.enter("a", first)
    manifest.enter("sub/b", second)
    manifest.restore("sub/b", None)
    manifest.enter("a", second)
    manifest.restore("a", first)
    again = Manifest(tmp_path)
    assert (again.get("a"), again.get("sub/b")) == (first, None)


def test_only_the_very_bytes_that_were_made_are_ours(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"made")
    manifest = Manifest(tmp_path)
    manifest.enter("a", Entry("1", {"a.wav": batch_manifest.file_digest(tmp_path / "a.wav")}))
    assert manifest.made("a", tmp_path / "a.wav")
    assert not manifest.made("b", tmp_path / "a.wav")
    (tmp_path / "a.wav").write_bytes(b"edited")
    assert not manifest.made("a", tmp_path / "a.wav")


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b'{"version": 1}', b'{"version": 9, "rows": {}}', b'{"version": 1, "rows": {"a": 1}}', b"\xff"],
)
def test_a_manifest_that_is_none_is_refused_and_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    (tmp_path / MANIFEST).write_bytes(content)
    with pytest.raises(BadRequest, match=MANIFEST):
        Manifest(tmp_path)
    assert (tmp_path / MANIFEST).read_bytes() == content


def test_what_a_killed_run_left_is_swept_once_it_is_old(shell: Shell, run: Run) -> None:
    table(shell, "text,name", "One.,a")
    folder = shell.cwd / "lines"
    folder.mkdir()
    stale, fresh, foreign = ".a.wav.0123abcd.part", ".a.wav.89abcdef.part", ".b.wav.0123abcd.part"
    for name in (stale, fresh, foreign):
        (folder / name).write_bytes(b"half")
    for name in (stale, foreign):
        os.utime(folder / name, (0, time.time() - 4000))
    run("batch", "lines.csv")
    assert sorted(files(shell)) == sorted([fresh, foreign, "a.wav"])
