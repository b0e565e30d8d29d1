"""A book over HTTP, in the built-in engine's own voice: read back with other people's tools, and its words timed."""

import json
import re
import shutil
import subprocess
import time
import zipfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests

from chatterbox_plus.audio.clip import Clip
from chatterbox_plus.audio.decode import Decoder
from chatterbox_plus.audio.formats import SPEECH_RATE
from chatterbox_plus.audio.loudness import Meter
from tests.live import LiveServer
from tests.needs import missing

CHAPTERS = {
    "The Harbour": "The harbour lay quiet under a pale morning sky. Three boats had come in before dawn.",
    "The Market": "Nobody spoke much; there was coffee, and there was time. [pause: 1s] Later the market would open.",
}
MARKDOWN = "".join(f"# {title}\n\n{text}\n\n" for title, text in CHAPTERS.items())
WAIT_S = 60


@pytest.fixture(scope="module")
def book(server: LiveServer, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """The finished task, and a folder with its files."""
    form = {"title": "By the Sea", "author": "A Fisher", "language": "en"}
    reply = requests.post(server.url + "/api/v1/book", files={"file": ("sea.md", MARKDOWN)}, data=form, timeout=30)
    assert reply.status_code == 202, reply.text
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        task: dict[str, Any] = requests.get(server.url + reply.json()["status_url"], timeout=10).json()
        if task["success"] is not None:
            break
        time.sleep(0.05)  # polling as a client does, bounded by the deadline
    assert task["success"], task
    folder = tmp_path_factory.mktemp("book")
    for file in (*task["output_files"], *task["result"]["subtitle_files"]):
        got = requests.get(server.url + file["url"], timeout=30)
        assert got.status_code == 200
        (folder / f"book.{file['format']}").write_bytes(got.content)
    return task, folder


def cues(folder: Path) -> list[tuple[float, float, str]]:
    text = (folder / "book.srt").read_text()
    found = re.findall(r"(\d\d):(\d\d):(\d\d),(\d{3}) --> (\d\d):(\d\d):(\d\d),(\d{3})\n(.*?)(?:\n\n|\Z)", text, re.S)
    return [(_seconds(cue[:4]), _seconds(cue[4:8]), cue[8].replace("\n", " ").strip()) for cue in found]


def _seconds(parts: tuple[str, ...]) -> float:
    hours, minutes, seconds, thousandths = map(int, parts)
    return hours * 3600 + minutes * 60 + seconds + thousandths / 1000


def test_other_programs_read_chapters_names_and_length(book: tuple[dict[str, Any], Path]) -> None:
    task, folder = book
    if not shutil.which("ffprobe"):
        missing("ffprobe")
    command = ["ffprobe", "-v", "error", "-of", "json", "-show_chapters", "-show_format", "-show_streams"]
    told = json.loads(subprocess.run([*command, str(folder / "book.m4b")], capture_output=True, check=True).stdout)
    assert [chapter["tags"]["title"] for chapter in told["chapters"]] == list(CHAPTERS)
    tags = told["format"]["tags"]
    assert (tags["title"], tags["artist"], tags["genre"]) == ("By the Sea", "A Fisher", "Audiobook")
    assert [stream["codec_name"] for stream in told["streams"] if stream["codec_type"] == "audio"] == ["aac"]
    assert float(told["format"]["duration"]) == pytest.approx(task["result"]["total_duration_seconds"], abs=0.05)
    starts = [chapter["start_seconds"] for chapter in task["result"]["chapters"]]
    assert [float(chapter["start_time"]) for chapter in told["chapters"]] == pytest.approx(starts, abs=0.002)


def test_it_is_as_loud_as_audiobooks_are(book: tuple[dict[str, Any], Path]) -> None:
    decoder = Decoder(workers=1)
    try:
        path = book[1] / "book.m4a"
        shutil.copyfile(book[1] / "book.m4b", path)
        clip: Clip = decoder.read(path, rate=SPEECH_RATE, channels=1)
    finally:
        decoder.close()
    meter = Meter(SPEECH_RATE)
    meter.push(clip.samples.astype(np.float32))
    levels = meter.finish()
    assert levels.lufs == pytest.approx(-20, abs=2)
    assert levels.true_peak_dbtp <= -3


def test_subtitles_follow_the_engines_own_word_times(server: LiveServer, book: tuple[dict[str, Any], Path]) -> None:
    task, folder = book
    shown = cues(folder)
    assert all(before[1] <= after[0] for before, after in pairwise(shown))
    chapter = task["result"]["chapters"][0]
    text = f"{chapter['title']}\n\n{CHAPTERS[chapter['title']]}"
    body = {"text": text, "timestamps": True, "export_formats": ["wav"], "language": "en"}
    spoken = requests.post(server.url + "/api/v1/tts?response_mode=url", json=body, timeout=60).json()
    lead_s = 1024 / SPEECH_RATE
    words = {word["char_start"]: word for word in spoken["words"]}
    position = 0
    for start_s, _, line in (cue for cue in shown if cue[0] < chapter["duration_seconds"]):
        position = text.replace("\n", " ").index(line, position)
        assert start_s == pytest.approx(words[position]["start_s"] + lead_s, abs=0.01), line


def test_the_text_is_shown_whole_and_no_mark_is(book: tuple[dict[str, Any], Path]) -> None:
    said = " ".join(line for *_, line in cues(book[1]))
    wanted = " ".join(f"{title} {text}" for title, text in CHAPTERS.items()).replace("[pause: 1s] ", "")
    assert said.split() == wanted.split()
    assert (book[1] / "book.vtt").read_text().startswith("WEBVTT")


def test_an_epub_is_a_book_too(server: LiveServer, tmp_path: Path) -> None:
    path = tmp_path / "small.epub"
    container = '<container><rootfiles><rootfile full-path="a.opf"/></rootfiles></container>'
    package = (
        '<package version="3.0"><metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>Small</dc:title></metadata>'
        '<manifest><item id="a" href="a.xhtml" media-type="application/xhtml+xml"/></manifest>'
        '<spine><itemref idref="a"/></spine></package>'
    )
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mimetype", "application/epub+zip")
        archive.writestr("META-INF/container.xml", container)
        archive.writestr("a.opf", package)
        archive.writestr("a.xhtml", "<html><body><h1>One</h1><p>It is here.</p></body></html>")
    with path.open("rb") as file:
        reply = requests.post(server.url + "/api/v1/book/preview", files={"file": file}, timeout=30)
    assert [chapter["title"] for chapter in reply.json()["chapters"]] == ["One"]
