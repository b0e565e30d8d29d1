"""Library: what was made is found, heard, looked at, used again, downloaded and deleted, one by one or many at once."""

import re
import zipfile
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Page, expect

from tests.live import LiveServer, live_server
from tests.web.conftest import PHONE, Opened, made_key, no_sideways, serious, spoken, visit


@pytest.fixture
def at_library(page: Page) -> Page:
    visit(page, "library")
    page.wait_for_selector(".outputs li[data-stem]")
    return page


@pytest.fixture
def moths(server: LiveServer) -> str:
    """Three outputs of a project of their own; what all of them say."""
    left = requests.get(f"{server.url}/api/v1/outputs?folder=moths", timeout=30).json()["total"]
    if left:
        requests.delete(f"{server.url}/api/v1/outputs?folder=moths&confirm=true", timeout=30).raise_for_status()
    for number in ("One", "Two", "Three"):
        spoken(server, f"{number} velvet moths.", project="moths")
    return "velvet moths"


def found(page: Page, words: str, n: int) -> None:
    """Searches, and waits for so many lines."""
    page.locator("#tab-library").get_by_label("Search names and texts").fill(words)
    expect(page.locator(".outputs li[data-stem]")).to_have_count(n)


def left(server: LiveServer, folder: str = "moths") -> int:
    """Files of a project."""
    return int(requests.get(f"{server.url}/api/v1/outputs?folder={folder}", timeout=30).json()["total"])


def test_a_text_that_was_spoken_is_found_and_heard(at_library: Page, moths: str) -> None:
    page = at_library
    found(page, moths, 3)
    expect(page.locator(".outputs li").first).to_contain_text("mp3, wav")
    page.get_by_role("button", name="Hear Two velvet moths.").click()
    page.wait_for_function("() => Number(document.querySelector('.dock .track input').value) > 0.1")
    assert page.locator(".outputs li.sounding").count() == 1
    found(page, "nobody said this", 0)
    page.get_by_role("button", name="Clear the filters").click()
    page.wait_for_selector(".outputs li[data-stem]")


def test_kinds_projects_and_days_are_filters(at_library: Page, moths: str) -> None:
    page = at_library
    page.get_by_role("navigation", name="Projects").get_by_role("button", name="moths").click()
    expect(page.locator(".outputs li[data-stem]")).to_have_count(3)
    page.get_by_label("Kind", exact=True).select_option("concat")
    expect(page.locator(".outputs li[data-stem]")).to_have_count(0)
    page.get_by_label("Kind", exact=True).select_option("tts")
    expect(page.locator(".outputs li[data-stem]")).to_have_count(3)
    page.get_by_label("Order").select_option("oldest")
    expect(page.locator(".outputs .name").first).to_have_text("One velvet moths.")
    page.get_by_label("From").fill("2999-01-01")
    expect(page.locator(".outputs li[data-stem]")).to_have_count(0)
    page.get_by_label("From").fill("2001-01-01")
    expect(page.locator(".outputs li[data-stem]")).to_have_count(3)
    assert moths


def test_many_are_deleted_and_nothing_without_being_asked(at_library: Page, moths: str, server: LiveServer) -> None:
    page = at_library
    found(page, moths, 3)
    ticks = page.locator(".outputs .tick input")
    ticks.nth(0).check()
    ticks.nth(2).click(modifiers=["Shift"])
    expect(page.get_by_text("3 selected")).to_be_visible()
    ticks.nth(1).uncheck()
    page.locator(".bar").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("dialog")).to_contain_text("4 files will be gone for good")
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    assert left(server) == 6
    page.locator(".bar").get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.locator(".outputs li[data-stem]")).to_have_count(1)
    expect(page.locator(".outputs .name")).to_have_text("Two velvet moths.")
    assert left(server) == 2
    assert page.evaluate("document.activeElement.matches('.outputs .name')")


def test_one_is_deleted_with_all_its_formats(at_library: Page, moths: str, server: LiveServer) -> None:
    page = at_library
    found(page, moths, 3)
    page.get_by_role("button", name="More for Two velvet moths.").click()
    page.get_by_role("menuitem", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.locator(".outputs li[data-stem]")).to_have_count(2)
    assert left(server) == 4


def test_all_that_is_chosen_comes_as_one_archive(at_library: Page, moths: str) -> None:
    page = at_library
    found(page, moths, 3)
    page.get_by_label("Select all that are shown").check()
    with page.expect_download() as saved:
        page.locator(".bar").get_by_role("button", name="Download").click()
    with zipfile.ZipFile(saved.value.path()) as archive:
        assert archive.testzip() is None
        assert len(archive.namelist()) == 6
        assert all(name.startswith("moths/") for name in archive.namelist())


def test_how_it_was_made_is_told_and_spoken_again_in_the_same_way(page: Page, server: LiveServer) -> None:
    made = spoken(server, "Slow grey owls.", speed_factor=0.8, seed=7, project="slow")
    visit(page, "library")
    page.locator("#tab-library").get_by_label("Search names and texts").fill("grey owls")
    page.get_by_role("button", name="Slow grey owls.", exact=True).first.click()
    dialog = page.get_by_role("dialog")
    expect(dialog.locator(".said")).to_have_text("Slow grey owls.")
    expect(dialog.locator(".known").first).to_contain_text("7")
    expect(dialog.locator(".known").nth(1)).to_contain_text("Speed0.8")
    dialog.get_by_role("button", name="Speak it again").click()
    page.get_by_label("With the same seed, 7").check()
    with page.expect_response("**/api/v1/tts/async") as answered:
        page.get_by_role("dialog").get_by_role("button", name="Speak", exact=True).click()
    body = answered.value.request.post_data_json
    assert (body["text"], body["speed_factor"], body["seed"]) == ("Slow grey owls.", 0.8, 7)
    task = answered.value.json()["task_id"]
    assert task != made["task_id"]
    page.wait_for_selector("#tab-speak:not([hidden]) .sentence")
    page.get_by_text("made in").wait_for()


def test_speech_is_opened_sentence_by_sentence(page: Page, server: LiveServer) -> None:
    spoken(server, "Brown paper kites. And one more.", project="brown")
    visit(page, "library")
    found(page, "brown paper", 1)
    page.get_by_role("button", name="More for Brown paper kites.").click()
    page.get_by_role("menuitem", name="Sentence by sentence").click()
    expect(page.locator("#tab-speak .sentence")).to_have_count(2)


def test_outputs_are_put_into_join(at_library: Page, moths: str) -> None:
    page = at_library
    found(page, moths, 3)
    page.get_by_label("Select all that are shown").check()
    page.locator(".bar").get_by_role("button", name="Join").click()
    expect(page.locator(".pieces li")).to_have_count(3)


def test_lines_are_reached_with_keys_alone(at_library: Page, moths: str) -> None:
    page = at_library
    found(page, moths, 3)
    page.locator(".outputs .name").first.focus()
    page.keyboard.press("Enter")
    page.get_by_role("dialog").get_by_text("velvet moths.").first.wait_for()
    page.keyboard.press("Escape")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press(" ")
    expect(page.get_by_text("1 selected")).to_be_visible()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_what_is_in_the_library_keeps_nobody_out(dark: bool, opened: Opened, moths: str) -> None:
    page = opened("library", dark=dark)
    found(page, moths, 3)
    page.locator(".outputs .tick input").first.check()
    assert serious(page) == []
    page.locator(".outputs .name").first.click()
    page.get_by_role("dialog").get_by_role("link", name="Save as MP3").wait_for()
    assert serious(page) == []


def test_a_phone_shows_the_library(opened: Opened, moths: str) -> None:
    page = opened("library", size=PHONE)
    found(page, moths, 3)
    page.locator(".outputs .tick input").first.check()
    assert no_sideways(page)
    assert serious(page) == []


def test_a_link_is_made_where_the_server_asks_for_keys(opened: Opened, tmp_path: Path) -> None:
    with live_server(tmp_path / "house", env={"CHATTERBOX_API_KEY_REQUIRED": "true"}) as guarded:
        page = opened(None, url=guarded.url, expected="401")
        page.get_by_label("Key").fill(made_key(guarded))
        page.get_by_role("button", name="Enter").click()
        page.wait_for_selector("#tab-speak h1")
        visit(page, "library")
        page.get_by_role("button", name="More for intro").click()
        page.get_by_role("menuitem", name="Link for others").click()
        page.get_by_label("It works for").select_option("86400")
        page.get_by_role("button", name="Make a link").click()
        made = page.get_by_role("textbox", name="Link for others")
        expect(made).to_have_value(re.compile("/outputs/intro.wav[?]"))
        assert requests.get(made.input_value(), timeout=30).ok
        assert requests.get(f"{guarded.url}/outputs/intro.wav", timeout=30).status_code == 401
        page.close()


def test_pieces_of_a_join_go_back_into_join(at_library: Page, server: LiveServer) -> None:
    page = at_library
    asked = {"files": ["intro.wav", "(700ms)", "outro.wav"], "crossfade_ms": 250, "output_filename": "again and again"}
    requests.post(f"{server.url}/api/v1/concat", json=asked, timeout=60).raise_for_status()
    found(page, "again and again", 1)
    page.get_by_role("button", name="More for again and again").click()
    page.get_by_role("menuitem", name="Its pieces in Join").click()
    expect(page.locator(".pieces li .name")).to_have_text(["intro", "Silence", "outro"])
    expect(page.get_by_label("Seconds of silence, piece 2")).to_have_value("0.7")
    expect(page.get_by_label("Crossfade, ms")).to_have_value("250")
