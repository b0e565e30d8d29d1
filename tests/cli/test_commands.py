"""The real command with the real built-in engine, run as a person runs it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chatterbox_plus.cli import main
from tests.cli.helpers import COMMAND, Shell, heard, tone

LONG = "A sentence that goes on for a while, and then a little longer still. " * 2_000
needs_posix = pytest.mark.skipif(sys.platform == "win32", reason="signals and shebangs are POSIX")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One data folder for all: its starter files are made once."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture
def shell(tmp_path: Path, data: Path) -> Shell:
    (tmp_path / "work").mkdir()
    return Shell(tmp_path / "work", data)


Run = Callable[..., tuple[int, str, str]]


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


def test_say_writes_the_files_asked_for_and_prints_their_paths(shell: Shell) -> None:
    done = shell("say", "Hello there, how are you?", "-o", "a.wav", "-o", "b.mp3", "-o", "c.ogg")
    assert (done.returncode, done.stdout.decode().split(), done.stderr) == (0, ["a.wav", "b.mp3", "c.ogg"], b"")
    assert shell.names() == ["a.wav", "b.mp3", "c.ogg"]
    wav, mp3, ogg = heard([shell.cwd / name for name in shell.names()])
    assert 0.8 < wav.duration_s < 4
    assert abs(wav.samples).max() > 0.05
    assert mp3.duration_s == pytest.approx(wav.duration_s, abs=0.1)
    assert ogg.duration_s == pytest.approx(wav.duration_s, abs=0.1)


def test_say_without_an_output_keeps_the_result_in_the_data_folder(shell: Shell) -> None:
    done = shell(
        "say", "Keep", "this.", "--project", "book", "--voice", "narrator", "--timestamps", "--json", "--seed", "7"
    )
    told = json.loads(done.stdout)
    assert done.returncode == 0
    assert (told["success"], told["seed"], told["model"], told["notes"]) == (True, 7, "builtin", [])
    assert [file["format"] for file in told["files"]] == ["wav", "mp3"]
    for file in told["files"]:
        path = shell.cwd / file["path"]
        assert path.stat().st_size == file["size_bytes"]
        assert path.parent == shell.data / "outputs" / "book"
    assert [word["text"] for word in told["words"]] == ["Keep", "this"]


def test_say_reads_stdin_and_streams_to_stdout_what_a_file_would_hold(shell: Shell) -> None:
    text = "Grüße aus der Leitung.".encode()
    piped = shell("say", "-", "--language", "de", "--seed", "3", "-o", "-", "--format", "pcm", stdin=text)
    (shell.cwd / "text.txt").write_bytes(b"\xef\xbb\xbf" + text)
    from_file = shell("say", "--file", "text.txt", "--language", "de", "--seed", "3", "-o", "a.pcm")
    assert (piped.returncode, from_file.returncode) == (0, 0)
    assert len(piped.stdout) > 24_000
    assert (shell.cwd / "a.pcm").read_bytes() == piped.stdout


def test_a_remark_goes_to_stderr_and_quiet_silences_it(run: Run) -> None:
    status, out, err = run("say", "Hi.", "--temperature", "0.5", "-o", "a.wav")
    assert (status, out) == (0, "a.wav\n")
    assert err.startswith("note: temperature had no effect")
    assert run("say", "Hi.", "--temperature", "0.5", "-o", "b.wav", "--quiet") == (0, "b.wav\n", "")


def test_nothing_is_overwritten_unless_forced(shell: Shell, run: Run) -> None:
    (shell.cwd / "a.wav").write_bytes(b"mine")
    refused = run("say", "Hello.", "-o", "a.wav")
    assert refused == (1, "", "chatterbox-plus: a.wav exists already; --force overwrites it\n")
    assert (shell.cwd / "a.wav").read_bytes() == b"mine"
    assert run("say", "Hello.", "-o", "a.wav", "--force")[0] == 0
    assert heard([shell.cwd / "a.wav"])[0].duration_s > 0.3


def test_say_sounds_like_a_file_given_by_path(shell: Shell) -> None:
    plain = shell("say", "The same words.", "--seed", "1", "-o", "-", "--format", "pcm")
    voice = shell.data / "reference_audio" / "speaker2.wav"
    cloned = shell("say", "The same words.", "--seed", "1", "-o", "-", "--format", "pcm", "--voice", str(voice))
    by_name = shell("say", "The same words.", "--seed", "1", "-o", "-", "--format", "pcm", "--voice", "speaker2")
    assert (plain.returncode, cloned.returncode, by_name.returncode) == (0, 0, 0)
    assert cloned.stdout == by_name.stdout
    assert cloned.stdout != plain.stdout


def test_join_takes_local_files_stored_ones_and_silences(shell: Shell) -> None:
    tone(shell.cwd / "a.wav", 1.0)
    tone(shell.cwd / "b.mp3", 0.5)
    stored = heard([shell.data / "outputs" / "intro.wav"])[0].duration_s
    done = shell("join", "a.wav", "(500ms)", "b.mp3", "(1s)", "intro.wav", "-o", "all.flac")
    assert (done.returncode, done.stdout.decode().strip(), done.stderr) == (0, "all.flac", b"")
    assert heard([shell.cwd / "all.flac"])[0].duration_s == pytest.approx(3.0 + stored, abs=0.1)


def test_convert_says_a_local_file_again_in_another_voice(shell: Shell) -> None:
    speech = shell.data / "reference_audio" / "speaker1.wav"
    done = shell("convert", str(speech), "--to", "speaker2", "-o", "out.wav")
    assert (done.returncode, done.stdout.decode().strip(), done.stderr) == (0, "out.wav", b"")
    before, after = heard([speech, shell.cwd / "out.wav"])
    assert after.duration_s == pytest.approx(before.duration_s, abs=0.05)


def test_voices_lists_a_line_each_or_one_json_object(run: Run) -> None:
    lines = run("voices")[1].splitlines()
    told = json.loads(run("voices", "--json")[1])
    assert "narrator.wav\tfile\t\t" in lines
    assert len(told["voices"]) == len(lines) > 100
    german = json.loads(run("voices", "--json", "--language", "de")[1])
    assert {v["language"] for v in german["voices"] if v["kind"] == "stock"} == {"de"}


FAILURES = [
    (["say", "x", "--voice", "nobody"], 1, "voice not found: nobody"),
    (["say", "x", "--voice", "./nobody.wav"], 1, "there is no file: ./nobody.wav"),
    (["say", "x", "-o", "gone/a.wav"], 1, "there is no folder gone"),
    (["say", "--file", "gone.txt"], 1, "there is no file gone.txt"),
    (["say", "x", "--model", "turbo"], 1, "the model turbo is not installed"),
    (["convert", "notes.txt", "--to", "speaker1"], 1, ""),
    (["convert", "./notes.txt", "--to", "speaker1"], 1, "not an audio file: ./notes.txt"),
    (["join", "gone.wav", "intro.wav"], 1, "gone.wav"),
    (["join", "garbage.wav", "intro.wav", "-o", "a.wav"], 1, ""),
    (["voices", "--config", "gone.yaml"], 2, "there is no configuration file gone.yaml"),
]


@pytest.mark.parametrize("words, status, message", FAILURES)
def test_a_failure_is_one_line_on_stderr(shell: Shell, run: Run, words: list[str], status: int, message: str) -> None:
    (shell.cwd / "notes.txt").write_text("no audio", encoding="utf-8")
    (shell.cwd / "garbage.wav").write_bytes(b"RIFF nonsense" * 100)
    ended, out, err = run(*words)
    assert (ended, out) == (status, "")
    assert err.startswith("chatterbox-plus: ")
    assert message in err
    assert err.count("\n") == 1
    assert str(shell.data) not in err
    assert shell.names() == ["garbage.wav", "notes.txt"]


def test_text_that_is_not_utf_8_is_refused(shell: Shell) -> None:
    done = shell("say", "-", stdin=b"\xff\xfe")
    assert (done.returncode, done.stderr.decode().strip()) == (1, "chatterbox-plus: the text is not UTF-8")


def test_a_failure_is_json_too_when_asked_for(run: Run) -> None:
    status, out, _ = run("say", "x", "--voice", "nobody", "--json")
    told = json.loads(out)
    assert status == 1
    assert (told["success"], told["error_code"]) == (False, "RESOURCE_NOT_FOUND")


def test_a_wrong_variable_ends_with_usage(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHATTERBOX_PROT", "1")
    hint = "unknown setting CHATTERBOX_PROT; did you mean CHATTERBOX_PORT?"
    assert run("voices") == (2, "", f"chatterbox-plus: {hint}\n")


@pytest.fixture
def started(shell: Shell) -> Iterator[subprocess.Popen[bytes]]:
    """A long piece of work that streams to stdout, and is there until somebody stops it."""
    (shell.cwd / "long.txt").write_text(LONG, encoding="utf-8")
    words = [*COMMAND, "say", "--file", "long.txt", "-o", "long.wav", "-o", "-"]
    process = subprocess.Popen(
        words, cwd=shell.cwd, env=shell.env(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )
    yield process
    process.kill()
    process.wait()
    for pipe in (process.stdout, process.stderr):
        assert pipe is not None
        pipe.close()


@needs_posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_work_and_leaves_no_half_file(
    shell: Shell, started: subprocess.Popen[bytes], number: signal.Signals
) -> None:
    assert started.stdout is not None
    started.stdout.read(1000)  # it is in the middle of it
    assert len(shell.names()) == 2
    os.killpg(started.pid, number)  # as a terminal does: the engine's children get it too
    _, said = started.communicate(timeout=10)
    assert started.returncode == 128 + number
    assert said == b""
    assert shell.names() == ["long.txt"]


@needs_posix
def test_a_reader_that_leaves_ends_the_work_quietly(shell: Shell, started: subprocess.Popen[bytes]) -> None:
    assert started.stdout is not None
    assert started.stderr is not None
    started.stdout.read(1000)
    started.stdout.close()
    assert started.wait(10) == 141
    assert started.stderr.read() == b""
    assert shell.names() == ["long.txt"]


@needs_posix
def test_play_lets_the_player_hear_all_of_it(shell: Shell, tmp_path: Path) -> None:
    player = tmp_path / "bin" / "ffplay"
    player.parent.mkdir()
    player.write_text('#!/bin/sh\nexec cat > "$HEARD"\n')
    player.chmod(0o755)
    env = shell.env(PATH=f"{player.parent}{os.pathsep}{os.environ['PATH']}", HEARD=str(tmp_path / "heard.wav"))
    done = shell("say", "Hello there.", "--play", "--seed", "1", env=env)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    shell("say", "Hello there.", "--seed", "1", "-o", "a.wav")
    assert (tmp_path / "heard.wav").read_bytes()[44:] == (shell.cwd / "a.wav").read_bytes()[44:]


@needs_posix
def test_a_player_that_wants_a_file_gets_one(shell: Shell, tmp_path: Path) -> None:
    player = tmp_path / "bin" / "aplay"
    player.parent.mkdir()
    player.write_text(f'#!{sys.executable}\nimport shutil, sys, os\nshutil.copy(sys.argv[2], os.environ["HEARD"])\n')
    player.chmod(0o755)
    env = shell.env(PATH=str(player.parent), HEARD=str(tmp_path / "heard.wav"))
    done = shell("say", "Hello there.", "--play", env=env)
    assert (done.returncode, done.stderr) == (0, b"")
    assert heard([tmp_path / "heard.wav"])[0].duration_s > 0.3


@needs_posix
def test_a_player_that_fails_is_told_of(shell: Shell, tmp_path: Path) -> None:
    player = tmp_path / "bin" / "ffplay"
    player.parent.mkdir()
    player.write_text("#!/bin/sh\nexec cat > /dev/null; exit 3\n".replace("exec ", ""))
    player.chmod(0o755)
    done = shell("say", "Hello.", "--play", env=shell.env(PATH=f"{player.parent}{os.pathsep}{os.environ['PATH']}"))
    assert (done.returncode, done.stderr.decode().strip()) == (1, "chatterbox-plus: ffplay could not play it")


def test_without_a_player_play_is_refused_before_the_work(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    done = shell("say", "Hello.", "--play", "-o", "a.wav", env=shell.env(PATH=str(tmp_path / "bin")))
    assert done.returncode == 1
    assert done.stderr.decode().startswith("chatterbox-plus: no player found")
    assert shell.names() == []
