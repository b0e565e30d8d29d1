"""`book`: from a file to an audiobook where it was wanted, and to a look at it before."""

import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import av
import pytest

from chatterbox_plus.cli import main
from tests.books import making
from tests.cli.helpers import Shell, tone
from tests.cli.terminal import at_a_terminal, stopped

needs_posix = pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")
Run = Callable[..., tuple[int, str, str]]
PAGES = {
    "one.xhtml": making.page("<h1>One</h1><p>It was short.</p>"),
    "two.xhtml": making.page("<h1>Two [b]</h1><p>This was longer. It had two.</p>"),
}
TOC = making.nav(("One", "one.xhtml"), ("Two [b]", "two.xhtml"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One data folder for all: its starter files are made once."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture
def shell(tmp_path: Path, data: Path) -> Shell:
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "novel.epub").write_bytes(making.epub(PAGES, toc=TOC))
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


def test_a_book_becomes_one_file_with_chapters_and_subtitles_beside_it(shell: Shell) -> None:
    done = shell("book", "novel.epub", "-o", "my.novel.m4b", "--author", "A. Poet")
    names = ["my.novel.m4b", "my.novel.srt", "my.novel.vtt"]
    assert (done.returncode, done.stdout.decode().splitlines(), done.stderr) == (0, names, b"")
    assert shell.names() == [*names, "novel.epub"]
    with av.open(shell.cwd / "my.novel.m4b") as file:
        assert [chapter["metadata"]["title"] for chapter in file.chapters()] == ["One", "Two [b]"]
        assert (file.metadata["title"], file.metadata["artist"]) == ("A Book", "A. Poet")
        assert 2 < (file.duration or 0) / av.time_base < 20
    assert "It had two." in (shell.cwd / "my.novel.srt").read_text("utf-8")


def test_without_an_output_it_is_kept_in_the_data_folder_and_made_again_it_is_the_same(shell: Shell, run: Run) -> None:
    words = ("book", "novel.epub", "--project", "shelf", "--subtitles", "vtt", "--json")
    first = json.loads(run(*words)[1])
    paths = [Path(file["path"]).absolute() for file in (*first["files"], *first["subtitles"])]
    assert [path.name for path in paths] == ["A Book.m4b", "A Book.vtt"]
    assert {path.parent for path in paths} == {shell.data / "outputs" / "shelf"}
    assert [path.stat().st_size for path in paths] == [
        file["size_bytes"] for file in (*first["files"], *first["subtitles"])
    ]
    assert [chapter["title"] for chapter in first["chapters"]] == ["One", "Two [b]"]
    before = [path.read_bytes() for path in paths]
    again = json.loads(run(*words)[1])
    assert again["files"] == first["files"]  # the same name, not a second file beside it
    assert [path.read_bytes() for path in paths] == before


def test_mp3_is_a_folder_with_a_file_for_each_chapter(shell: Shell, run: Run) -> None:
    status, out, err = run("book", "novel.epub", "--format", "mp3", "-o", "novel", "--subtitles", "none")
    assert (status, err) == (0, "")
    assert out.splitlines() == [str(Path("novel", "01 One.mp3")), str(Path("novel", "02 Two [b].mp3"))]
    assert sorted(path.name for path in (shell.cwd / "novel").iterdir()) == ["01 One.mp3", "02 Two [b].mp3"]


def test_nothing_is_overwritten_unless_forced(shell: Shell, run: Run) -> None:
    (shell.cwd / "x.srt").write_bytes(b"mine")
    (shell.cwd / "full").mkdir()
    (shell.cwd / "full" / "01 One.mp3").write_bytes(b"mine")
    words = {"m4b": ("-o", "x.m4b"), "mp3": ("-o", "full", "--format", "mp3")}
    assert run("book", "novel.epub", *words["m4b"]) == (
        1, "", "chatterbox-plus: x.srt exists already; --force overwrites it\n",
    )  # fmt: skip
    assert run("book", "novel.epub", *words["mp3"])[2].startswith("chatterbox-plus: full is not empty")
    assert shell.names() == ["full", "novel.epub", "x.srt"]
    for format in words:
        assert run("book", "novel.epub", *words[format], "--force")[0] == 0
    assert (shell.cwd / "x.srt").read_bytes() != b"mine"
    assert (shell.cwd / "full" / "01 One.mp3").stat().st_size > 1000


def test_a_voice_may_be_a_local_file_for_the_book_or_for_a_chapter(shell: Shell, run: Run) -> None:
    tone(shell.cwd / "me.wav", 0.5, hz=200)
    plain = ("book", "novel.epub", "--format", "mp3", "--subtitles", "none")
    run(*plain, "-o", "plain")
    assert run(*plain, "-o", "mine", "--chapter-voice", "two [b]=me.wav", "--chapter-voice", "1=f3")[0] == 0
    plain_files, mine = sorted((shell.cwd / "plain").iterdir()), sorted((shell.cwd / "mine").iterdir())
    assert all(a.read_bytes() != b.read_bytes() for a, b in zip(plain_files, mine, strict=True))
    assert not (shell.cwd / "me.wav.json").exists()


def test_a_book_names_no_file_of_this_machine(shell: Shell, run: Run) -> None:
    """Only who types the command may: a book comes from anywhere."""
    tone(shell.cwd / "me.wav", 0.5, hz=200)
    (shell.cwd / "b.md").write_text("[voice: ./me.wav] Hello. [/voice]", encoding="utf-8")
    status, _, err = run("book", "b.md", "--preview")
    assert (status, err) == (1, "chatterbox-plus: voice not found: ./me.wav\n")


def test_whoever_has_no_language_reads_the_books(shell: Shell, run: Run) -> None:
    """A variant and a recording say German as German, a voice with a language of its own keeps it."""
    (shell.cwd / "b.md").write_text("Am 3. Mai kamen 21 an. [voice: en+f3] On May 3. [/voice]", encoding="utf-8")
    tone(shell.cwd / "me.wav", 0.5, hz=200)
    digests = {}
    for name, words in {
        "default": ("--language", "de"),
        "variant": ("--language", "de", "--voice", "f3"),
        "whole": ("--language", "de", "--voice", "de+f3"),
        "english": ("--language", "en", "--voice", "f3"),
    }.items():
        told = run("book", "b.md", "-o", f"{name}.m4b", "--subtitles", "none", "--title", "B", *words)
        assert told[0] == 0
        with av.open(shell.cwd / f"{name}.m4b") as file:
            digests[name] = [bytes(packet) for packet in file.demux(file.streams.audio[0])]
    assert digests["variant"] == digests["whole"]
    assert digests["variant"] not in (digests["default"], digests["english"])


def test_a_preview_tells_chapters_words_passages_length_and_voices(shell: Shell, run: Run) -> None:
    status, out, err = run("book", "novel.epub", "--preview", "--chapter-voice", "2=f3")
    assert (status, out.splitlines()) == (0, ["1\tOne\t4\t2\t0:01\t", "2\tTwo [b]\t8\t3\t0:02\tf3"])
    assert err == "A Book by A. Writer: 12 words, 5 passages, about 0:04\n"
    told = json.loads(run("book", "novel.epub", "--preview", "--json", "--passages")[1])
    assert (told["success"], told["passages"], told["title"]) == (True, 5, "A Book")
    assert told["chapters"][1]["passage_texts"] == ["Two [b]", "This was longer.", "It had two."]
    lines = run("book", "novel.epub", "--preview", "--passages")[1].splitlines()
    assert lines == ["1\tOne", "1\tIt was short.", "2\tTwo [b]", "2\tThis was longer.", "2\tIt had two."]
    assert shell.names() == ["novel.epub"]


LONG = "".join(
    f"# Part {n}\n\n"
    + f"Sentence by sentence it goes on in part {n}. "
    + "".join(f"This is number {k}, of which there are many. " for k in range(30))
    + "\n\n"
    for n in range(3)
)


@needs_posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_stopped_it_leaves_nothing_half_made_and_goes_on_from_what_was_spoken(
    shell: Shell, number: signal.Signals
) -> None:
    (shell.cwd / "long.md").write_text(LONG.replace("it goes", f"it {number.name} goes"), encoding="utf-8")
    takes = shell.data / "takes"
    shutil.rmtree(takes, ignore_errors=True)

    def kept() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in takes.rglob("*") if path.is_file() and path.suffix != ".part"}

    words = ("book", "long.md", "-o", "x.m4b", "--subtitles", "none")
    status, out, err = stopped(shell, *words, when=lambda: takes.is_dir() and len(kept()) > 10, by=number)
    assert (status, out) == (130 if number == signal.SIGINT else -number, b"")
    if number == signal.SIGINT:
        assert err.decode().startswith("Stopped: ")
    left = [name for name in shell.names() if not name.startswith(".")]
    assert left == ["long.md", "novel.epub"]
    assert number == signal.SIGKILL or left == shell.names()
    before = kept()
    assert 10 < len(before) < 90
    again = shell(*words)
    assert (again.returncode, again.stdout.decode(), again.stderr) == (0, "x.m4b\n", b"")
    assert before.items() <= kept().items()  # nothing that was kept was spoken again


@needs_posix
def test_what_a_killed_run_left_beside_the_place_is_swept_once_it_is_old(shell: Shell, run: Run) -> None:
    for name, age in ((".x.m4b.0123abcd.part", 4000), (".x.m4b.89abcdef.part", 0), (".y.m4b.0123abcd.part", 4000)):
        (shell.cwd / name).mkdir()
        (shell.cwd / name / "book.m4b").write_bytes(b"half")
        for path in (shell.cwd / name / "book.m4b", shell.cwd / name):
            os.utime(path, (time.time() - age,) * 2)
    run("book", "novel.epub", "-o", "x.m4b", "--subtitles", "none")
    assert shell.names() == [".x.m4b.89abcdef.part", ".y.m4b.0123abcd.part", "novel.epub", "x.m4b"]


@pytest.mark.skipif(sys.platform != "linux", reason="pseudo-terminals differ from system to system")
def test_a_bar_counts_passages_under_the_title_of_the_chapter(shell: Shell) -> None:
    (shell.cwd / "long.md").write_text(LONG, encoding="utf-8")
    status, out, seen = at_a_terminal(shell, "book", "long.md", "-o", "x.m4b", "--subtitles", "none")
    assert (status, out) == (0, b"x.m4b\n")
    assert "Part 0" in seen
    assert "/96 passages" in seen


@pytest.mark.parametrize(
    "words, status, message",
    [
        (["novel.epub", "-o", "x.mp3"], 2, "for --format m4b name a file that ends with .m4b"),
        (["novel.epub", "-o", "x.m4b", "--format", "mp3"], 2, "for --format mp3 name a folder"),
        (["novel.epub", "--subtitles", "ass"], 2, "--subtitles: should be of srt, vtt, or none"),
        (["novel.epub", "--chapter-voice", "f3"], 2, "should be CHAPTER=VOICE"),
        (["novel.epub", "--passages"], 2, "--passages goes with --preview"),
        (["novel.epub", "-o", "x.m4b", "--project", "p"], 2, "--project is for results in the data folder"),
        (["novel.epub", "--normalize-audio"], 2, "unrecognized arguments: --normalize-audio"),
        (["novel.epub", "--chapter-voice", "9=f3"], 1, "there is no chapter 9"),
        (["novel.epub", "--voice", "nobody"], 1, "voice not found: nobody"),
        (["novel.epub", "--voice", "./nobody.wav"], 1, "there is no file: ./nobody.wav"),
        (["novel.epub", "--cover", "novel.epub"], 1, "the cover must be a JPEG or PNG picture"),
        (["novel.epub", "-o", "no/x.m4b"], 1, "there is no folder no"),
        (["gone.epub"], 1, "there is no file gone.epub"),
        (["novel.pdf"], 1, "books are read from these files"),
    ],
)
def test_wrong_usage_is_named_and_nothing_made(
    shell: Shell, run: Run, capfd: pytest.CaptureFixture[str], words: list[str], status: int, message: str
) -> None:
    (shell.cwd / "novel.pdf").write_bytes(b"%PDF")
    if status == 2:
        with pytest.raises(SystemExit):
            run("book", *words)
        err = capfd.readouterr().err
    else:
        ended, _, err = run("book", *words)
        assert ended == 1
        assert err.count("\n") == 1
    assert message in err.splitlines()[-1]
    assert shell.names() == ["novel.epub", "novel.pdf"]
