"""A book in, an audiobook out: what may be sent, whose voice reads what, what comes of it, and what is refused."""

import io
import json
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests

from tests.api.shelf import tone
from tests.api.task_house import House, events, house
from tests.audio.pictures import picture
from tests.books.making import epub, page, zipped
from tests.hearing import listen, median_f0
from tests.live import live_server
from tests.needs import missing

BOOK, PREVIEW = "/api/v1/book", "/api/v1/book/preview"
TWO = {
    "title": "Two Sentences",
    "chapters": [{"title": "One", "text": "The first."}, {"title": "Two", "text": "The second."}],
}
EPUB = epub({f"{n}.xhtml": page(f"<h1>{n}</h1><p>The {n}.</p>") for n in ("One", "Two")})
MAX_UPLOAD_MB = 1


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with house(tmp_path_factory.mktemp("book"), api={"max_upload_mb": MAX_UPLOAD_MB}) as running:
        for name, hz in (("narrator", 220), ("speaker1", 330), ("speaker2", 550)):
            (running.data / "reference_audio" / f"{name}.wav").write_bytes(tone(1.0, hz))
        yield running


def upload(here: House, path: str, name: str, content: bytes | str, **form: str) -> requests.Response:
    return here.server.ask("POST", path, files={"file": (name, content)}, data=form)


def made(here: House, reply: requests.Response) -> dict[str, Any]:
    assert reply.status_code == 202, reply.text
    return here.ended(reply.json()["task_id"])


def test_a_book_becomes_one_file_with_subtitles(here: House) -> None:
    reply = here.server.post(BOOK, json={**TWO, "author": "Nobody", "project": "shelf"})
    assert (reply.json()["title"], reply.json()["chapters"]) == ("Two Sentences", 2)
    done = made(here, reply)
    assert (done["kind"], done["progress"]["unit"], done["progress"]["percent"]) == ("book", "passages", 100)
    assert [file["path"] for file in done["output_files"]] == ["outputs/shelf/Two Sentences.m4b"]
    assert [file["format"] for file in done["result"]["subtitle_files"]] == ["srt", "vtt"]
    chapters = done["result"]["chapters"]
    assert [chapter["title"] for chapter in chapters] == ["One", "Two"]
    assert chapters[1]["start_seconds"] == pytest.approx(chapters[0]["duration_seconds"], abs=0.002)
    for file in (*done["output_files"], *done["result"]["subtitle_files"]):
        assert here.server.get(file["url"]).content == (here.data / file["path"]).read_bytes()
    subtitles = here.server.get("/outputs/shelf/Two%20Sentences.vtt")
    assert subtitles.headers["Content-Type"].startswith("text/vtt")
    assert subtitles.text.startswith("WEBVTT")
    assert "The second." in subtitles.text
    sidecar = here.server.get("/api/v1/outputs/shelf/Two Sentences.m4b/metadata").json()
    assert (sidecar["generation_type"], sidecar["metadata"]["book"]["author"]) == ("book", "Nobody")


def test_subtitles_go_with_their_audio(here: House) -> None:
    done = made(here, here.server.post(BOOK, json={**TWO, "project": "gone"}))
    assert len([path for path in here.outputs if path.startswith("gone/")]) == 4
    (name,) = [file["path"].removeprefix("outputs/") for file in done["output_files"]]
    gone = here.server.ask("DELETE", f"/api/v1/output/{name}?confirm=true").json()
    assert gone["deleted_count"] == 1
    assert not [path for path in here.outputs if path.startswith("gone/")]
    assert here.server.get(done["result"]["subtitle_files"][0]["url"]).status_code == 404


def test_an_mp3_for_each_chapter_and_a_zip_of_all(here: House) -> None:
    done = made(here, here.server.post(BOOK, json={**TWO, "format": "mp3", "subtitles": ["srt"]}))
    assert [file["path"] for file in done["output_files"]] == [
        "outputs/Two Sentences/01 One.mp3",
        "outputs/Two Sentences/02 Two.mp3",
    ]
    with zipfile.ZipFile(io.BytesIO(here.server.get(done["links"]["zip"]).content)) as archive:
        assert archive.testzip() is None
        assert sorted(archive.namelist()) == ["01 One.mp3", "01 One.srt", "02 Two.mp3", "02 Two.srt"]
    with zipfile.ZipFile(io.BytesIO(here.server.get(done["links"]["zip"] + "?format=mp3").content)) as archive:
        assert archive.namelist() == ["01 One.mp3", "02 Two.mp3"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("tale.md", "# One\n\nThe first.\n\n# Two\n\nThe second.\n"),
        ("tale.txt", "Chapter 1\n\nThe first.\n\nChapter 2\n\nThe second.\n"),
        ("tale.epub", EPUB),
    ],
)  # fmt: skip
def test_a_file_is_taken_apart_into_chapters(here: House, name: str, content: bytes | str) -> None:
    told = upload(here, PREVIEW, name, content, title="Told otherwise")
    assert told.status_code == 200, told.text
    assert told.json()["title"] == "Told otherwise"
    assert len(told.json()["chapters"]) == 2
    done = made(here, upload(here, BOOK, name, content, subtitles="none", project=f"as {name}"))
    assert len(done["result"]["chapters"]) == 2
    assert done["result"]["subtitle_files"] == []


def test_a_preview_tells_what_would_be_said_and_makes_nothing(here: House) -> None:
    before = here.server.get("/api/v1/tasks").json()["total"], here.outputs
    text = "# One\n\nThe first. [pause: 2s] It is short.\n\n# Two\n\n[voice: speaker2] The second.\n"
    told = here.server.post(PREVIEW + "?passages=true", json={"text": text, "title": "Told"}).json()
    assert (told["title"], told["author"], told["has_cover"], told["voices"]) == ("Told", None, False, ["speaker2"])
    assert [chapter["title"] for chapter in told["chapters"]] == ["One", "Two"]
    assert told["chapters"][0]["passage_texts"][-2:] == ["The first.", "It is short."]
    assert told["chapters"][0]["estimated_seconds"] > 2, "the pause counts"
    assert told["passages"] == sum(chapter["passages"] for chapter in told["chapters"])
    assert "passage_texts" not in here.server.post(PREVIEW, json={"text": text}).json()["chapters"][0]
    assert (here.server.get("/api/v1/tasks").json()["total"], here.outputs) == before


def test_chapters_that_are_left_out_are_not_read(here: House) -> None:
    chapters = [{"title": name, "text": f"The {name}."} for name in ("One", "Two", "Three")]
    body = {"title": "Left out", "chapters": chapters, "voices": {"3": "speaker2"}, "skip": [1]}
    told = here.server.post(PREVIEW, json=body).json()
    assert [chapter["title"] for chapter in told["chapters"]] == ["Two", "Three"]
    done = made(here, here.server.post(BOOK, json={**body, "subtitles": []}))
    assert [chapter["title"] for chapter in done["result"]["chapters"]] == ["Two", "Three"]
    sent = upload(here, PREVIEW, "x.md", "# One\n\nA.\n\n# Two\n\nB.\n", skip="2")
    assert [chapter["title"] for chapter in sent.json()["chapters"]] == ["One"]
    for wrong in ([4], [0], [1, 2, 3]):
        assert here.server.post(BOOK, json={**body, "skip": wrong}).status_code == 422


def pitches(here: House, done: dict[str, Any]) -> list[float]:
    """Hz of each chapter, whose voices are sines."""
    sounds = [listen(here.data / file["path"]) for file in done["output_files"]]
    return [float(np.argmax(np.abs(np.fft.rfft(sound))) / len(sound) * 24_000) for sound in sounds]


def test_chapters_have_voices_by_number_by_title_and_by_their_own_word(here: House) -> None:
    chapters = [{"title": name, "text": "A line that is long enough to be heard."} for name in ("One", "Two", "Three")]
    chapters[2]["voice"] = "speaker2"
    body = {"title": "Voices", "chapters": chapters, "format": "mp3", "subtitles": []}
    body |= {"voices": {"1": "speaker1", " tWO": "speaker2.wav"}, "options": {"reference_audio_filename": "narrator"}}
    assert pitches(here, made(here, here.server.post(BOOK, json=body))) == pytest.approx([330, 550, 550], rel=0.02)
    body |= {"voices": {}, "title": "Narrated"}
    assert pitches(here, made(here, here.server.post(BOOK, json=body))) == pytest.approx([220, 220, 550], rel=0.02)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 422, "VALIDATION_ERROR"),
        ({"text": "x", "chapters": [{"text": "y"}]}, 422, "VALIDATION_ERROR"),
        ({"chapters": []}, 422, "VALIDATION_ERROR"),
        ({"text": "  "}, 400, "INVALID_BOOK"),
        ({"text": "x", "format": "ogg"}, 422, "VALIDATION_ERROR"),
        ({"text": "x", "subtitles": ["ass"]}, 422, "VALIDATION_ERROR"),
        ({"text": "x", "options": {"trim": True}}, 422, "VALIDATION_ERROR"),
        ({"text": "x", "options": {"speed_factor": 9}}, 422, "VALIDATION_ERROR"),
        ({"text": "x", "options": {"reference_audio_filename": "nobody"}}, 404, "RESOURCE_NOT_FOUND"),
        ({"text": "x", "voices": {"7": "speaker1"}}, 422, "VALIDATION_ERROR"),
        ({"text": "x", "voices": {"1": "nobody"}}, 404, "RESOURCE_NOT_FOUND"),
        ({"text": "[voice: nobody] x"}, 404, "RESOURCE_NOT_FOUND"),
        ({"text": "[pause: long] x"}, 422, "VALIDATION_ERROR"),
        ({"text": "x", "project": "../../x"}, 403, "PERMISSION_DENIED"),
        ({"text": "x", "webhook_url": "ftp://x"}, 422, "VALIDATION_ERROR"),
        ({"text": "x", "language": "xx"}, 422, "VALIDATION_ERROR"),
    ],
)
def test_what_is_wrong_is_said_at_once(here: House, body: dict[str, Any], status: int, code: str) -> None:
    before = here.server.get("/api/v1/tasks").json()["total"]
    reply = here.server.post(BOOK, json=body)
    assert (reply.status_code, reply.json()["error_code"]) == (status, code), reply.text
    assert here.server.get("/api/v1/tasks").json()["total"] == before


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.pdf", b"%PDF-1.7"),
        ("x.epub", b"no zip"),
        ("x.epub", zipped({"mimetype": "application/epub+zip"})),
        ("x.docx", b"\0" * 100),
        ("x.md", b" \n"),
        ("noname", b"x"),
    ],
)
def test_what_is_no_book_is_said_to_be_none(here: House, name: str, content: bytes) -> None:
    for path in (BOOK, PREVIEW):
        reply = upload(here, path, name, content)
        assert (reply.status_code, reply.json()["error_code"]) == (400, "INVALID_BOOK"), reply.text


def test_a_form_that_makes_no_sense_is_refused(here: House) -> None:
    for form in (
        {"options": "{"},
        {"voices": "["},
        {"chapters": "x"},
        {"text": "x"},
        {"format": "ogg"},
        {"title": "x" * 501},
    ):
        assert upload(here, BOOK, "x.md", "# One\n\nText.", **form).status_code in (400, 422), form
    assert here.server.ask("POST", BOOK, files={"book": ("x.md", "# One\n\nText.")}).status_code == 400
    assert here.server.ask("POST", BOOK, data="Text.", headers={"Content-Type": "text/plain"}).status_code == 400


def test_a_book_over_the_limit_is_refused(here: House) -> None:
    reply = upload(here, BOOK, "x.md", "# One\n\n" + "word " * (MAX_UPLOAD_MB * 2**20 // 4))
    assert (reply.status_code, reply.json()["error_code"]) == (413, "FILE_TOO_LARGE")


def test_a_cover_that_is_no_picture_is_refused(here: House) -> None:
    sent = {"file": ("x.md", "# One\n\nText."), "cover": ("x.png", b"no picture")}
    assert here.server.ask("POST", BOOK, files=sent).status_code in (400, 422)
    sent["cover"] = ("x.png", picture("png"))
    assert here.server.ask("POST", PREVIEW, files=sent).json()["has_cover"] is True


def test_a_book_tells_its_chapters_and_goes_on_where_it_stopped(here: House) -> None:
    text = "# One\n\nThe beginning is done.\n\n# Two\n\nThey fail chapter today.\n"
    task = made_failed = here.sent(BOOK, {"text": text, "title": "Broken off"})
    here.ended(made_failed, "failed")
    assert not [path for path in here.outputs if path.startswith("Broken off")]
    here.open("chapter")
    here.server.post(f"/api/v1/tasks/{task}/retry")
    here.ended(task)
    assert here.said("the beginning is done") == 1
    with requests.get(f"{here.server.url}/api/v1/tasks/{task}/events", stream=True, timeout=15) as reply:
        told = [one for one in events(reply) if one.get("event") == "chapter"]
    assert {one["data"]["title"] for one in told} == {"One", "Two"}
    assert {one["data"]["chapters"] for one in told} == {2}


def test_the_real_voice_reads_a_book_that_players_can_read(tmp_path: Path) -> None:
    """The built-in engine, and FFmpeg's reading of the file: chapters, tags, cover and sound."""
    if shutil.which("ffprobe") is None:
        missing("ffprobe")
    text = "# The Rain\n\nIt rains. It rains all day.\n\n# The Sun\n\n[voice: f3] Then the sun comes out.\n"
    with live_server(tmp_path) as server:
        url = server.url + "/api/v1"
        sent = {"file": ("weather.md", text), "cover": ("cover.png", picture("png"))}
        form = {"title": "The Weather", "author": "Nobody", "language": "en"}
        task = requests.post(f"{url}/book", files=sent, data=form, timeout=30).json()["task_id"]
        with requests.get(f"{url}/tasks/{task}/events", stream=True, timeout=60) as reply:
            assert [one["data"] for one in events(reply) if "event" in one][-1]["status"] == "succeeded"
        book = server.data / requests.get(f"{url}/tasks/{task}", timeout=30).json()["output_files"][0]["path"]
        probe = ["ffprobe", "-v", "error", "-show_chapters", "-show_format", "-show_streams", "-of", "json", str(book)]
        found = json.loads(subprocess.run(probe, check=True, capture_output=True, timeout=30).stdout)
        sound = listen(book)
    assert [chapter["tags"]["title"] for chapter in found["chapters"]] == ["The Rain", "The Sun"]
    assert found["chapters"][0]["end_time"] == found["chapters"][1]["start_time"]
    assert {name: found["format"]["tags"][name] for name in ("title", "artist", "genre")} == {
        "title": "The Weather", "artist": "Nobody", "genre": "Audiobook",
    }  # fmt: skip
    assert {stream["codec_name"] for stream in found["streams"]} >= {"aac", "png"}
    change = round(float(found["chapters"][1]["start_time"]) * 24_000)
    assert median_f0(sound[change:]) > 1.2 * median_f0(sound[:change]), "the second voice is a woman's"


def test_chapters_that_are_skipped_are_not_read(here: House) -> None:
    """However often each is named."""
    book = {"chapters": [{"title": name, "text": f"This is {name}."} for name in ("one", "two", "three")]}
    seen = here.server.post(PREVIEW, json={**book, "skip": [2] * 300_000})
    assert [chapter["title"] for chapter in seen.json()["chapters"]] == ["one", "three"]
    for skip in ([0], [4], [1, 2, 3]):
        assert here.server.post(PREVIEW, json={**book, "skip": skip}).status_code == 422
