"""Voices: a recording comes in, is cut, judged and kept; it is heard, changed, tried, deleted and had back."""

import json
import re
from pathlib import Path
from uuid import uuid4

import pytest
import requests
from playwright.sync_api import FilePayload, Locator, Page, expect

from tests.live import LiveServer
from tests.web.conftest import PHONE, Opened, no_sideways, press_through, serious, visit

SAID = "I read this aloud, slowly and clearly, so that there is something to cut at both of its ends."


def sound(server: LiveServer, text: str = SAID) -> bytes:
    """A recording: wav."""
    asked = {"model": "tts-1", "voice": "en+f2", "input": text, "response_format": "wav"}
    reply = requests.post(f"{server.url}/v1/audio/speech", json=asked, timeout=60)
    reply.raise_for_status()
    return reply.content


def kept(server: LiveServer, name: str, **fields: str) -> str:
    """A voice of that name; what a request names it by."""
    files = {"voice_file": (f"{name}.wav", sound(server))}
    reply = requests.post(f"{server.url}/api/v1/voice", files=files, data={"name": name, **fields}, timeout=60)
    reply.raise_for_status()
    return str(reply.json()["voice_metadata"]["url"])


def known(server: LiveServer, name: str) -> dict[str, object]:
    """What the server tells of the voice called so; empty if there is none."""
    found = requests.get(f"{server.url}/api/v1/voices", params={"search": name}, timeout=30).json()["voices"]
    return found[0] if found else {}


def choose_file(page: Page, name: str, content: bytes) -> None:
    payload: FilePayload = {"name": f"{name}.wav", "mimeType": "audio/wav", "buffer": content}
    page.locator("#tab-voices input[type=file]").set_input_files(payload)


def opened_one(page: Page, name: str) -> Locator:
    """Opens a voice's panel."""
    page.locator(".open", has_text=name).click()
    expect(page.locator(".panel h2")).to_have_text(name)
    return page.locator(".panel")


@pytest.fixture
def name() -> str:
    """Of a voice that no other test has."""
    return f"v{uuid4().hex[:8]}"


@pytest.fixture
def at_voices(page: Page) -> Page:
    visit(page, "voices")
    return page


def test_a_recording_is_judged_before_it_is_stored_and_then_a_voice(
    at_voices: Page, server: LiveServer, name: str
) -> None:
    page = at_voices
    page.get_by_role("button", name="Add voices").click()
    choose_file(page, name, sound(server))
    expect(page.locator(".verdict")).to_contain_text("of 100")
    assert known(server, name) == {}
    page.locator(".draft").get_by_role("combobox", name="Tags").fill("calm, low")
    page.locator(".draft").get_by_role("combobox", name="Folder").fill("readers")
    page.get_by_role("button", name="Keep as a voice").click()
    expect(page.locator(".panel h2")).to_have_text(name)
    told = known(server, name)
    assert (told["url"], told["tags"], told["rating"]) == (f"readers/{name}.wav", ["calm", "low"], "good")


def test_a_recording_is_cut_with_keys_and_only_the_rest_is_stored(
    at_voices: Page, server: LiveServer, name: str
) -> None:
    page = at_voices
    page.get_by_role("button", name="Add voices").click()
    choose_file(page, name, sound(server))
    begin, end = page.get_by_role("slider", name="Begin"), page.get_by_role("slider", name="End")
    whole = float(end.get_attribute("aria-valuenow") or 0)
    with page.expect_response("**/api/v1/voice/check") as judged:  # of the part, when the handles rest
        begin.focus()
        page.keyboard.press("Shift+ArrowRight")
        page.keyboard.press("ArrowRight")
        expect(begin).to_have_attribute("aria-valuenow", "1.1")
        end.focus()
        page.keyboard.press("PageDown")
        expect(page.get_by_text(re.compile(r"s kept, from 1\.1 to"))).to_be_visible()
    assert judged.value.ok
    page.get_by_role("button", name="Play", exact=True).first.click()
    page.wait_for_function("() => Number(document.querySelector('.dock .track input').value) > 0.1")
    page.get_by_role("button", name="Keep as a voice").click()
    expect(page.locator(".panel h2")).to_have_text(name)
    assert known(server, name)["duration_seconds"] == pytest.approx(whole - 2.1, abs=0.1)


def test_the_microphone_is_recorded(at_voices: Page, server: LiveServer) -> None:
    page = at_voices
    page.get_by_role("button", name="Add voices").click()
    page.get_by_role("button", name="Record", exact=True).click()
    page.wait_for_function("() => document.querySelector('.intake .time')?.textContent === '0:02'")
    page.get_by_role("button", name="Stop recording").click()
    expect(page.get_by_role("slider", name="End")).to_be_visible()
    expect(page.locator(".draft").get_by_label("Name")).to_have_value("Recording 1")
    expect(page.locator(".verdict")).to_contain_text("of 100")
    page.get_by_role("button", name="Leave out Recording 1.wav").click()
    expect(page.get_by_role("slider")).to_have_count(1)  # that of the player
    assert known(server, "Recording 1") == {}


def test_a_name_that_is_taken_is_told_and_nothing_is_lost(opened: Opened, server: LiveServer, name: str) -> None:
    kept(server, name, description="the first")
    page = opened("voices", expected="409")
    page.get_by_role("button", name="Add voices").click()
    choose_file(page, name, sound(server, "Another recording of the same name."))
    page.get_by_role("button", name="Keep as a voice").click()
    expect(page.locator(".draft").get_by_text("another name")).to_be_visible()
    assert known(server, name)["description"] == "the first"
    page.get_by_role("button", name="Replace it").click()
    expect(page.locator(".panel h2")).to_have_text(name)
    assert known(server, name)["description"] != "the first"


def test_name_tags_folder_and_defaults_are_changed(page: Page, server: LiveServer, name: str) -> None:
    kept(server, name, tags="old,stays", default_parameters=json.dumps({"export_formats": ["flac"]}))
    visit(page, "voices")
    panel = opened_one(page, name)
    save = panel.get_by_role("button", name="Save")
    expect(save).to_be_disabled()
    panel.get_by_label("Name").fill(f"{name} again")
    panel.get_by_role("combobox", name="Tags").fill("new")
    page.keyboard.press("Enter")
    panel.get_by_role("button", name="Take away old").click()
    panel.get_by_label("Folder").fill(f"in {name}")
    panel.get_by_text("How it speaks by default").click()
    panel.get_by_label("Speed, exact value").fill("1.2")
    panel.get_by_label("Speed, exact value").blur()
    save.click()
    expect(panel.locator("h2")).to_have_text(f"{name} again")
    expect(save).to_be_disabled()
    told = known(server, name)
    assert (told["name"], told["tags"], told["folder_path"]) == (f"{name} again", ["stays", "new"], f"in {name}")
    assert told["default_parameters"] == {"export_formats": ["flac"], "speed_factor": 1.2}  # what has no control stays
    page.locator(".shelf-main").get_by_label("Folder").select_option(f"in {name}")
    expect(page.locator(".open")).to_have_count(1)


def test_changes_are_not_lost_without_a_word(page: Page, server: LiveServer, name: str) -> None:
    kept(server, name)
    visit(page, "voices")
    panel = opened_one(page, name)
    panel.get_by_label("Description").fill("Half-written")
    page.locator(".open", has_text="narrator").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    expect(panel.locator("h2")).to_have_text(name)
    expect(panel.get_by_label("Description")).to_have_value("Half-written")


def test_voices_are_found_by_words_tag_and_folder(page: Page, server: LiveServer, name: str) -> None:
    kept(server, f"{name}one", tags=f"{name}tag", folder_path=f"{name}shelf")
    kept(server, f"{name}two")
    visit(page, "voices")
    page.get_by_label("Search by name or tag").fill(name)
    expect(page.locator(".open")).to_have_count(2)
    page.get_by_role("button", name=f"{name}tag", exact=True).click()
    expect(page.locator(".open")).to_have_count(1)
    page.get_by_role("button", name=f"{name}tag", exact=True).click()
    page.locator(".shelf-main").get_by_label("Folder").select_option(f"{name}shelf")
    expect(page.locator(".open")).to_contain_text(f"{name}one")
    page.get_by_label("Search by name or tag").fill("nobody is called so")
    page.get_by_role("button", name="Show all voices").click()
    assert page.locator(".open").count() > 2


def test_a_voice_is_heard_and_tried_in_a_language(page: Page, server: LiveServer, name: str) -> None:
    url = kept(server, name)
    visit(page, "voices")
    page.get_by_role("button", name=f"Hear {name}").click()
    page.wait_for_function("() => Number(document.querySelector('.dock .track input').value) > 0.1")
    panel = opened_one(page, name)
    panel.get_by_label("A sentence to try it with").fill("Guten Tag.")
    panel.get_by_label("Language").first.select_option("de")
    with page.expect_response("**/v1/audio/speech") as tried:
        panel.get_by_role("button", name="Speak", exact=True).click()
    asked = json.loads(tried.value.request.post_data or "")
    assert (tried.value.ok, asked["voice"], asked["language"], asked["input"]) == (True, url, "de", "Guten Tag.")
    expect(page.locator(".dock")).to_contain_text("Guten Tag.")
    with page.expect_download() as saved:
        panel.get_by_role("link", name="Download").click()
    assert Path(saved.value.path()).read_bytes() == (server.data / "reference_audio" / url).read_bytes()


def test_a_deleted_voice_is_had_back(page: Page, server: LiveServer, name: str) -> None:
    kept(server, name, tags="dear")
    visit(page, "voices")
    opened_one(page, name).get_by_role("button", name="Delete").click()
    page.get_by_text(f"“{name}” was deleted.").wait_for()
    assert known(server, name) == {}
    page.get_by_role("button", name="Undo", exact=True).click()
    expect(page.locator(".panel h2")).to_have_text(name)
    assert known(server, name)["tags"] == ["dear"]
    page.locator(".panel").get_by_role("button", name="Delete").click()
    expect(page.locator(".open", has_text=name)).to_have_count(0)
    page.get_by_role("button", name="Trash").click()
    row = page.get_by_role("dialog").get_by_role("listitem").filter(has_text=name)
    row.get_by_role("button", name="Restore").click()
    expect(row).to_have_count(0)
    page.keyboard.press("Escape")
    expect(page.locator(".open", has_text=name)).to_have_count(1)


def test_everything_is_reached_with_keys(page: Page, server: LiveServer, name: str) -> None:
    kept(server, name)
    visit(page, "voices")
    press_through(page, "#tab-voices input[type=search]")
    page.keyboard.type(name)
    expect(page.locator(".open")).to_have_count(1)
    press_through(page, ".shelf .open")
    page.keyboard.press("Enter")
    expect(page.locator(".panel h2")).to_be_focused()
    press_through(page, ".panel textarea")
    press_through(page, ".panel .more summary")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_nothing_of_it_keeps_anybody_out(dark: bool, opened: Opened, server: LiveServer, name: str) -> None:
    kept(server, name, tags="a tag")
    page = opened("voices", dark=dark)
    opened_one(page, name).get_by_text("How it speaks by default").click()
    page.wait_for_timeout(300)
    assert serious(page) == []
    page.get_by_role("button", name="Add voices").click()
    choose_file(page, name, sound(server))
    expect(page.locator(".verdict")).to_contain_text("of 100")
    assert serious(page) == []


def test_a_phone_shows_one_thing_at_a_time(opened: Opened, server: LiveServer, name: str) -> None:
    kept(server, name, tags="a tag")
    page = opened("voices", size=PHONE)
    opened_one(page, name)
    expect(page.locator(".shelf-main")).to_be_hidden()
    assert no_sideways(page)
    page.locator(".panel").get_by_role("button", name="Close").click()
    expect(page.locator(".shelf-main")).to_be_visible()
    page.get_by_role("button", name="Add voices").click()
    choose_file(page, name, sound(server))
    expect(page.locator(".verdict")).to_contain_text("of 100")
    assert no_sideways(page)


def test_files_are_dropped_anywhere(at_voices: Page, server: LiveServer, name: str) -> None:
    page = at_voices
    page.evaluate(
        """([name, bytes]) => {
          const dataTransfer = new DataTransfer();
          for (const nth of [1, 2]) dataTransfer.items.add(new File([new Uint8Array(bytes)], `${name}-${nth}.wav`));
          document.querySelector(".shelf .list").dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true }));
        }""",
        [name, list(sound(server, "Two of them."))],
    )
    expect(page.locator(".draft")).to_have_count(2)
    page.get_by_role("button", name="Keep all").click()
    expect(page.locator(".panel h2")).to_have_text(f"{name}-2")
    assert [known(server, f"{name}-{nth}")["name"] for nth in (1, 2)] == [f"{name}-1", f"{name}-2"]
