"""Batches and books: a file is looked at, spoken and watched, and is still there after the page was left."""

import io
import re
import time
import zipfile
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Page, expect

from tests.hearing import container_format
from tests.live import LiveServer
from tests.web.conftest import PHONE, Opened, no_sideways, serious, visit

ROWS = 20
SLOW = "This is a sentence that takes a moment to be said. " * 40
CHAPTERS = ("The harbour", "Left out", "The weather")


def lines(voice: str = "") -> bytes:
    """A table of twenty rows; the last in another voice."""
    rows = [f"Row number {n}. {SLOW if n > 4 else ''},row-{n:02d}," for n in range(1, ROWS)]
    return "\n".join(["text,name,voice", *rows, f"The last row.,row-{ROWS},{voice}"]).encode()


def epub() -> bytes:
    """A small book with a table of contents."""
    pages = {
        f"c{n}.xhtml": f'<html xmlns="http://www.w3.org/1999/xhtml"><body><h1>{title}</h1>'
        f"<p>This is chapter {n}. It is short.</p></body></html>"
        for n, title in enumerate(CHAPTERS, 1)
    }
    items = "".join(f'<item id="i{name}" href="{name}" media-type="application/xhtml+xml"/>' for name in pages)
    spine = "".join(f'<itemref idref="i{name}"/>' for name in pages)
    package = (
        '<package xmlns="http://www.idpf.org/2007/opf" version="3.0"><metadata '
        'xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>Small Book</dc:title><dc:creator>A Writer</dc:creator>'
        f"<dc:language>en</dc:language></metadata><manifest>{items}</manifest><spine>{spine}</spine></package>"
    )
    container = (
        '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container" version="1.0"><rootfiles>'
        '<rootfile full-path="book.opf" media-type="application/oebps-package+xml"/></rootfiles></container>'
    )
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr("mimetype", "application/epub+zip")
        file.writestr("META-INF/container.xml", container)
        file.writestr("book.opf", package)
        for name, text in pages.items():
            file.writestr(name, text)
    return packed.getvalue()


def choose(page: Page, name: str, content: bytes) -> None:
    """Gives the tab a file."""
    page.locator("#tab-batch input[type=file]").first.set_input_files(
        {"name": name, "mimeType": "application/octet-stream", "buffer": content}
    )


def drop(page: Page, name: str, content: str) -> None:
    """The same with a mouse: a file let go over the tab."""
    given = page.evaluate_handle(
        """([name, content]) => {
            const given = new DataTransfer();
            given.items.add(new File([content], name));
            return given;
        }""",
        [name, content],
    )
    page.dispatch_event("#tab-batch .drop", "drop", {"dataTransfer": given})


def task_of(page: Page) -> str:
    page.wait_for_url(re.compile(r"task=task_"))
    return page.url.partition("task=")[2]


def voice(server: LiveServer, name: str) -> None:
    """A stored voice of that name."""
    said = {
        "model": "tts-1",
        "voice": "en+m3",
        "input": "I am a voice that may be gone soon.",
        "response_format": "wav",
    }
    recording = requests.post(f"{server.url}/v1/audio/speech", json=said, timeout=60).content
    files = {"voice_file": (f"{name}.wav", recording)}
    requests.post(f"{server.url}/api/v1/voice", files=files, timeout=60).raise_for_status()


def test_twenty_rows_are_watched_paused_and_one_that_failed_is_tried_again(page: Page, server: LiveServer) -> None:
    voice(server, "passer-by")
    visit(page, "batch")
    choose(page, "twenty.csv", lines("passer-by"))
    page.get_by_role("button", name=f"Speak {ROWS} rows").click()
    task = task_of(page)
    page.get_by_role("button", name="Pause", exact=True).click()
    expect(page.locator(".run-head .state")).to_have_text("Paused")
    gone = requests.delete(f"{server.url}/api/v1/voice/passer-by.wav?confirm=true", timeout=30).json()["trash_id"]
    page.get_by_role("button", name="Resume", exact=True).click()
    row = page.locator(f"tr[data-row='{ROWS}']")
    expect(page.locator("tr[data-row='1']").get_by_role("button", name="Play")).to_be_visible()
    expect(row.locator(".state")).to_have_text("Failed", timeout=120_000)
    expect(row).to_contain_text("passer-by")
    expect(page.locator(".run-head .state")).to_have_text("Failed", timeout=120_000)
    expect(page.locator(".run-head")).to_contain_text("1 of 20 rows have no audio")
    requests.post(f"{server.url}/api/v1/trash/{gone}/restore", timeout=30).raise_for_status()
    row.get_by_role("button", name=f"Try row {ROWS} again").click()
    expect(row.locator(".state")).to_have_text("Done")
    expect(page.locator(".run-head .state")).to_have_text("Done")
    expect(page.locator("tr .state", has_text="Done")).to_have_count(ROWS)
    row.get_by_role("button", name="Play").click()
    expect(row.get_by_role("button", name="Pause")).to_be_visible()
    page.keyboard.press("Escape")
    with page.expect_download() as saved:
        page.get_by_role("link", name="Download all").click()
    names = zipfile.ZipFile(saved.value.path()).namelist()
    assert len([name for name in names if name.endswith(".wav")]) == ROWS
    assert requests.get(f"{server.url}/api/v1/tasks/{task}", timeout=30).json()["status"] == "succeeded"


def test_what_is_wrong_with_a_table_is_told_by_line_and_column_and_nothing_is_made(opened: Opened) -> None:
    page = opened("batch", expected="422")
    drop(page, "bad.csv", "text;speed_factor;name\n;1;a\nTwo.;9;b\nThree.;1;../c\n")
    expect(page.get_by_text("3 things in the file")).to_be_visible()
    cells = [row.locator("td").all_inner_texts() for row in page.locator("#tab-batch tbody tr").all()]
    assert [cell[:2] for cell in cells] == [["2", "text"], ["3", "speed_factor"], ["4", "name"]]
    assert all(cell[2] for cell in cells)
    expect(page.get_by_role("button", name="Speak", exact=True)).to_be_disabled()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("button", name="Choose a file")).to_be_visible()


def test_lines_can_be_written_instead(page: Page) -> None:
    visit(page, "batch")
    page.get_by_role("button", name="Write lines here").click()
    page.get_by_label("Lines, one for each file").fill("Mind the gap.\n\nDoors are closing.")
    page.get_by_role("button", name="Look at the rows").click()
    page.get_by_role("button", name="Speak 2 rows").click()
    expect(page.locator(".run-head .state")).to_have_text("Done")
    expect(page.locator("tr[data-row='2']")).to_contain_text("Doors are closing.")


def test_what_a_file_is_not_is_told(page: Page) -> None:
    visit(page, "batch")
    choose(page, "picture.png", b"\x89PNG")
    expect(page.get_by_text("is neither a table")).to_be_visible()


def test_a_book_becomes_an_audiobook_chapter_by_chapter(page: Page, server: LiveServer, tmp_path: Path) -> None:
    visit(page, "batch")
    choose(page, "small.epub", epub())
    expect(page.get_by_label("Title")).to_have_value("Small Book")
    expect(page.get_by_label("Author")).to_have_value("A Writer")
    page.get_by_label("Read “Left out”").uncheck()
    expect(page.get_by_text("2 of 3 chapters")).to_be_visible()
    page.get_by_role("button", name="Other voice for “The weather”").click()
    page.get_by_label("Search by name").fill("narrator")
    page.get_by_role("dialog").get_by_role("button", name="narrator 0:05").click()
    expect(page.get_by_role("button", name="Voice of chapter 3 narrator")).to_be_visible()
    page.get_by_role("button", name="Make the audiobook").click()
    task = task_of(page)
    expect(page.locator(".run-head .state")).to_have_text("Done", timeout=60_000)
    expect(page.locator(".chapters > li")).to_have_count(2)
    expect(page.locator(".chapters > li").nth(1)).to_contain_text("2. The weather")
    page.locator(".chapters > li").nth(1).get_by_role("button", name="Play 2. The weather").click()
    expect(page.get_by_role("button", name="Pause 2. The weather")).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Files").click()
    with page.expect_download() as saved:
        page.get_by_role("menuitem", name="Small Book.m4b").click()
    path = tmp_path / "book.m4b"
    saved.value.save_as(path)
    assert "m4a" in container_format(path)
    made = requests.get(f"{server.url}/api/v1/tasks/{task}", timeout=30).json()["result"]["chapters"]
    assert [chapter["title"] for chapter in made] == ["The harbour", "The weather"]


def test_what_is_under_way_is_found_again_after_a_reload(page: Page) -> None:
    visit(page, "batch")
    text = f"# One\n\n{SLOW}\n\n# Two\n\n{SLOW}\n"
    choose(page, f"slow-{time.monotonic_ns()}.md", text.encode())
    page.get_by_role("button", name="Make the audiobook").click()
    task = task_of(page)
    page.locator("a[data-tab=tasks]").click()
    page.wait_for_selector("#tab-tasks:not([hidden])")
    page.locator("a[data-tab=batch]").click()
    page.wait_for_selector("#tab-batch:not([hidden]) .run-head")
    page.reload()
    page.wait_for_selector(".run-head")
    page.get_by_role("button", name="Another file").click()
    page.get_by_role("link", name=re.compile("^slow")).first.click()
    page.wait_for_selector(".run-head")
    assert task in page.url
    expect(page.locator(".run-head .state")).to_have_text("Done", timeout=60_000)
    expect(page.locator(".chapters > li").nth(1)).to_contain_text("2. Two")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_draft_and_a_finished_batch_keep_nobody_out(dark: bool, opened: Opened) -> None:
    for size in ((1280, 800), PHONE):
        page = opened("batch", size=size, dark=dark)
        choose(page, "book.md", b"# One\n\nThe first.\n\n# Two\n\nThe second.\n")
        page.get_by_label("Read “Two”").wait_for()
        assert serious(page) == []
        assert no_sideways(page)
        page.get_by_role("button", name="Cancel").click()
        choose(page, "two.csv", b"text,name\nOne row.,one\nAnother row.,two\n")
        page.get_by_role("button", name="Speak 2 rows").click()
        expect(page.locator(".run-head .state")).to_have_text("Done")
        assert serious(page) == []
        assert no_sideways(page)
