"""Join: pieces from the library and of one's own, in the order that one wants, heard before they are a file."""

import json
import math
import struct
import wave
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Page, expect

from tests.live import LiveServer
from tests.web.conftest import PHONE, Opened, no_sideways, serious, visit

STARTERS = ("intro", "main_content", "outro")


@pytest.fixture
def at_join(page: Page) -> Page:
    visit(page, "join")
    return page


def take(page: Page, *names: str) -> None:
    """Takes outputs from the library, each found by its name."""
    page.get_by_role("button", name="From the library").first.click()
    dialog = page.get_by_role("dialog")
    for name in names:
        dialog.get_by_label("Search names and texts").fill(name)
        dialog.get_by_role("button", name=f"Add {name}", exact=True).click()
    dialog.get_by_text(f"{len(names)} pieces added" if len(names) > 1 else "1 piece added").wait_for()
    dialog.get_by_role("button", name="Done").click()


def names(page: Page) -> list[str]:
    return page.locator(".pieces li .name").all_inner_texts()


def tone(path: Path, seconds: float = 1.0, rate: int = 24_000) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", ""))
        samples = (int(9000 * math.sin(n / rate * 440 * 2 * math.pi)) for n in range(round(seconds * rate)))
        file.writeframes(b"".join(struct.pack("<h", value) for value in samples))
    return path


def outputs(server: LiveServer) -> dict[str, Any]:
    """All that is stored, by file name."""
    found = requests.get(f"{server.url}/api/v1/outputs?page_size=100", timeout=30).json()["files"]
    return {file["filename"]: file for file in found}


def drag(page: Page, what: str, to: tuple[float, float]) -> None:
    """With the pointer, from the middle of something."""
    box = page.locator(what).first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2 + 6, steps=2)
    page.mouse.move(*to, steps=8)
    page.mouse.up()


def test_three_pieces_a_silence_and_a_crossfade_become_a_file(at_join: Page, server: LiveServer) -> None:
    page = at_join
    seconds = {name: outputs(server)[f"{name}.wav"]["duration_seconds"] for name in STARTERS}
    take(page, *STARTERS)
    page.get_by_role("button", name="Silence", exact=True).click()
    page.get_by_label("Seconds of silence, piece 4").fill("0.8")
    page.get_by_label("Seconds of silence, piece 4").press("Enter")
    page.get_by_role("button", name="Move Silence up").click()
    assert names(page) == ["intro", "main_content", "Silence", "outro"]
    page.get_by_label("Crossfade, ms").fill("400")
    page.get_by_label("Crossfade, ms").blur()
    expect(page.locator(".lane .fade")).to_have_count(1)
    total = sum(seconds.values()) + 0.8 - 0.4
    expect(page.get_by_text(f"{total:.1f} s in all")).to_be_visible()
    page.get_by_role("textbox", name="Name", exact=True).fill("evening")
    page.get_by_role("textbox", name="Folder").fill("shows")
    page.get_by_role("checkbox", name="mp3").check()
    page.get_by_role("button", name="Export").click()
    page.get_by_text("Made “evening”").wait_for()
    made = outputs(server)
    assert made["evening.wav"]["duration_seconds"] == pytest.approx(total, abs=0.01)
    assert (made["evening.wav"]["folder_path"], made["evening.mp3"]["folder_path"]) == ("shows", "shows")
    page.get_by_role("button", name="Hear it").click()
    page.wait_for_function("() => Number(document.querySelector('.dock .track input').value) > 0.2")


def test_a_preview_is_heard_and_not_stored(at_join: Page, server: LiveServer) -> None:
    page = at_join
    take(page, "intro", "outro")
    before = set(outputs(server))
    page.get_by_role("button", name="Preview").click()
    page.wait_for_function("() => Number(document.querySelector('.dock .track input').value) > 0.2")
    assert page.locator(".playhead").is_visible()
    expect(page.locator(".dock").get_by_text("nothing is stored yet")).to_be_visible()
    assert set(outputs(server)) == before
    page.get_by_role("button", name="Move intro down").click()
    expect(page.get_by_role("button", name="Preview")).to_be_visible()  # of another order: it is to be made anew
    assert page.locator(".playhead").is_hidden()


def test_a_preview_is_called_off_with_escape(at_join: Page) -> None:
    page = at_join
    take(page, "intro", "outro")
    page.route("**/api/v1/concat?keep=false*", lambda _: None)  # a server that takes its time
    page.get_by_role("button", name="Preview").click()
    page.get_by_text("Being joined").wait_for()
    page.keyboard.press("Escape")
    expect(page.locator("#tab-join .status")).to_have_text("Stopped.")
    expect(page.get_by_role("button", name="Preview")).to_be_enabled()


def test_pieces_are_moved_with_keys_alone(at_join: Page) -> None:
    page = at_join
    take(page, *STARTERS)
    page.get_by_role("button", name="Hear intro").focus()
    page.keyboard.press("Alt+ArrowDown")
    assert names(page) == ["main_content", "intro", "outro"]
    page.keyboard.press("Alt+ArrowDown")
    page.keyboard.press("Alt+ArrowDown")
    assert names(page) == ["main_content", "outro", "intro"]
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Hear intro, piece 3 of 3"
    expect(page.locator("#said")).to_have_text("intro is now 3 of 3.")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Delete")
    assert names(page) == ["main_content", "intro"]
    page.get_by_role("button", name="Undo").click()
    assert names(page) == ["main_content", "outro", "intro"]


def test_pieces_are_dragged_in_the_list_and_on_the_timeline(at_join: Page) -> None:
    page = at_join
    take(page, *STARTERS)
    last = page.locator(".pieces li").nth(2).bounding_box()
    assert last is not None
    drag(page, ".pieces li .grip", (last["x"] + 14, last["y"] + last["height"] - 4))
    assert names(page) == ["main_content", "outro", "intro"]
    lane = page.locator(".lane-view").bounding_box()
    assert lane is not None
    drag(page, ".block[title=intro]", (lane["x"] + 8, lane["y"] + 70))
    assert names(page) == ["intro", "main_content", "outro"]


def test_the_timeline_is_to_scale(at_join: Page) -> None:
    page = at_join
    take(page, "intro", "main_content")
    width = "name => document.querySelector(`.block[title=${name}]`).getBoundingClientRect().width"
    assert page.evaluate(width, "main_content") / page.evaluate(width, "intro") == pytest.approx(
        4.707 / 2.226, rel=0.02
    )
    whole = page.evaluate(width, "intro")
    page.get_by_role("button", name="Zoom in").click()
    assert page.evaluate(width, "intro") == pytest.approx(1.6 * whole, rel=0.02)
    page.get_by_role("button", name="Fit", exact=True).click()
    assert page.evaluate(width, "intro") == pytest.approx(whole, rel=0.02)
    page.get_by_label("Natural pause, ms").fill("700")
    page.get_by_label("Natural pause, ms").blur()
    expect(page.locator(".lane .pause")).to_have_count(1)


def test_files_of_ones_own_are_sent_along(at_join: Page, server: LiveServer, tmp_path: Path) -> None:
    page = at_join
    take(page, "intro")
    page.locator("#tab-join input[type=file]").set_input_files([tone(tmp_path / "gong.wav", 1.5)])
    expect(page.locator(".pieces li").nth(1)).to_contain_text("1.5 s · sent along")
    page.get_by_role("textbox", name="Name", exact=True).fill("gonged")
    page.get_by_role("button", name="Export").click()
    page.get_by_text("Made “gonged").wait_for()
    made = next(file for name, file in outputs(server).items() if name.startswith("gonged"))
    assert made["duration_seconds"] == pytest.approx(2.226 + 1.5, abs=0.01)


def test_what_is_wrong_is_told_where_it_was_asked(opened: Opened, tmp_path: Path) -> None:
    page = opened("join", expected="400")
    noise = tmp_path / "noise.wav"
    noise.write_bytes(b"no sound at all")
    page.locator("#tab-join input[type=file]").set_input_files([noise])
    page.get_by_role("button", name="Preview").click()
    expect(page.locator("#tab-join .status .note.bad")).to_be_visible()
    expect(page.get_by_role("button", name="Preview")).to_be_enabled()


def test_only_what_differs_from_the_servers_defaults_is_sent(at_join: Page) -> None:
    page = at_join
    take(page, "intro", "outro")
    with page.expect_request("**/api/v1/concat/async") as asked:
        page.get_by_role("button", name="Export").click()
    assert json.loads(asked.value.post_data or "") == {
        "segments": [{"type": "server_file", "filename": "intro.wav"}, {"type": "server_file", "filename": "outro.wav"}]
    }
    page.get_by_text("Made “").wait_for()


def test_pieces_are_there_again_after_a_reload(at_join: Page) -> None:
    page = at_join
    take(page, "outro", "intro")
    page.reload()
    page.wait_for_selector("#tab-join h1")
    assert names(page) == ["outro", "intro"]
    page.get_by_role("button", name="Start over").click()
    expect(page.get_by_text("Put recordings in a row")).to_be_visible()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_what_is_being_joined_keeps_nobody_out(dark: bool, opened: Opened) -> None:
    page = opened("join", dark=dark)
    take(page, *STARTERS)
    page.get_by_role("button", name="Silence", exact=True).click()
    page.get_by_label("Crossfade, ms").fill("400")
    page.get_by_label("Crossfade, ms").blur()
    assert serious(page) == []
    page.get_by_role("button", name="From the library").first.click()
    page.get_by_label("Search names and texts").fill("intro")
    page.get_by_role("dialog").get_by_role("button", name="Add intro", exact=True).wait_for()
    assert serious(page) == []


def test_a_phone_shows_what_is_being_joined(opened: Opened) -> None:
    page = opened("join", size=PHONE)
    take(page, *STARTERS)
    assert no_sideways(page)
    assert serious(page) == []
    page.get_by_role("button", name="More for intro").click()
    page.get_by_role("menuitem", name="Move down").click()
    assert names(page) == ["main_content", "intro", "outro"]
