"""Convert: a recording in another voice, and both on one line of time."""

import json

import pytest
import requests
from playwright.sync_api import FilePayload, Page, expect

from tests.live import LiveServer
from tests.web.conftest import PHONE, Opened, no_sideways, press_through, serious, visit

PATIENCE_MS = 60_000  # a conversion takes a few seconds, on a busy machine more
SAID = "I say this once, and then somebody else says it again in just the same way."


def sound(server: LiveServer, text: str = SAID) -> bytes:
    """A recording: wav."""
    asked = {"model": "tts-1", "voice": "en+m3", "input": text, "response_format": "wav"}
    reply = requests.post(f"{server.url}/v1/audio/speech", json=asked, timeout=60)
    reply.raise_for_status()
    return reply.content


def choose_file(page: Page, content: bytes, name: str = "mine.wav") -> None:
    payload: FilePayload = {"name": name, "mimeType": "audio/wav", "buffer": content}
    page.locator("#tab-convert input[type=file]").set_input_files(payload)
    expect(page.locator(".source .name")).to_have_text(name)


def convert(page: Page) -> None:
    page.get_by_role("button", name="Convert", exact=True).click()
    page.get_by_text("converted in").wait_for(timeout=PATIENCE_MS)


def from_server(page: Page, name: str) -> None:
    """Hears one of the recordings on the server, and chooses it."""
    page.get_by_role("button", name="From the server").click()
    page.get_by_label("Search by name or words").fill(name)
    page.get_by_role("dialog").get_by_role("button", name=f"Hear {name}").click()
    page.get_by_role("dialog").locator(".pick", has_text=name).click()
    expect(page.locator(".source .name")).to_have_text(name)


def position(page: Page) -> float:
    """Where the comparison is, in seconds."""
    return float(page.get_by_label("Position in both").input_value())


@pytest.fixture
def at_convert(page: Page) -> Page:
    visit(page, "convert")
    return page


def test_before_and_after_are_heard_at_the_same_moment(at_convert: Page, server: LiveServer) -> None:
    page = at_convert
    expect(page.get_by_role("button", name="Convert", exact=True)).to_be_disabled()
    choose_file(page, sound(server))
    expect(page.get_by_role("button", name="After", exact=True)).to_be_disabled()
    convert(page)
    after = page.get_by_role("button", name="After", exact=True)
    expect(after).to_have_attribute("aria-pressed", "true")
    compare = page.get_by_role("region", name="Before and after")
    compare.get_by_role("button", name="Play").click()
    page.wait_for_function("() => Number(document.querySelector('.sides input').value) > 0.6")
    left = position(page)
    page.get_by_role("button", name="Before", exact=True).click()
    expect(page.locator(".dock")).to_contain_text("mine.wav")
    page.wait_for_timeout(200)
    assert position(page) >= left
    compare.get_by_role("button", name="Pause").click()
    stood = position(page)
    after.click()
    page.wait_for_timeout(200)
    assert position(page) == pytest.approx(stood, abs=0.1)


def test_the_position_is_moved_with_keys(at_convert: Page, server: LiveServer) -> None:
    page = at_convert
    choose_file(page, sound(server))
    press_through(page, ".sides input")
    page.keyboard.press("End")
    total = position(page)
    assert total > 2
    page.keyboard.press("Home")
    assert position(page) == 0


def test_a_result_is_saved_in_every_format(at_convert: Page, server: LiveServer) -> None:
    page = at_convert
    choose_file(page, sound(server))
    convert(page)
    formats = requests.get(f"{server.url}/api/v1/options", timeout=30).json()["formats"]
    for format in formats:
        page.locator(".bench-foot").get_by_role("button", name="Download").click()
        with page.expect_download() as saved:
            page.get_by_role("menuitem", name=f"Save as {format.upper()}").click()
        assert saved.value.suggested_filename.endswith(f".{format}")


def test_the_target_is_chosen_and_only_what_differs_is_sent(at_convert: Page, server: LiveServer) -> None:
    page = at_convert
    files = {"vc_input_file": ("interview.wav", sound(server))}
    requests.post(f"{server.url}/api/v1/vc_input", files=files, timeout=60).raise_for_status()
    page.get_by_role("button", name="Target voice").click()
    page.get_by_role("dialog").locator(".pick", has_text="speaker2").click()
    page.get_by_label("Seconds at a time, exact value").fill("20")
    page.get_by_label("Seconds at a time, exact value").blur()
    from_server(page, "interview.wav")
    with page.expect_request("**/api/v1/vc/async") as asked:
        convert(page)
    assert json.loads(asked.value.post_data or "") == {
        "input_audio_source": "interview.wav",
        "target_voice_source": "speaker2.wav",
        "chunk_sec": 20,
        "export_formats": requests.get(f"{server.url}/api/v1/options", timeout=30).json()["formats"],
    }


def test_a_recording_is_kept_on_the_server_and_chosen_there(at_convert: Page, server: LiveServer) -> None:
    page = at_convert
    choose_file(page, sound(server), "again.wav")
    page.locator(".source").get_by_role("button", name="More").click()
    page.get_by_role("menuitem", name="Keep it on the server").click()
    expect(page.locator(".source")).to_contain_text("on the server")
    page.get_by_role("button", name="Another recording").click()
    from_server(page, "again.wav")
    with page.expect_request("**/api/v1/vc/async") as asked:
        convert(page)
    assert json.loads(asked.value.post_data or "")["input_audio_source"] == "again.wav"


def test_the_microphone_is_converted(at_convert: Page) -> None:
    page = at_convert
    page.get_by_role("button", name="Record", exact=True).click()
    page.wait_for_function("() => document.querySelector('.intake .time')?.textContent === '0:02'")
    page.get_by_role("button", name="Stop recording").click()
    expect(page.locator(".source .name")).to_have_text("Recording 1.wav")
    convert(page)


def test_a_conversion_is_called_off(at_convert: Page, server: LiveServer) -> None:
    page = at_convert
    choose_file(page, sound(server, SAID * 20))
    page.get_by_role("button", name="Convert", exact=True).click()
    page.get_by_role("button", name="Stop", exact=True).click()
    page.get_by_text("Stopped.").wait_for()
    expect(page.get_by_role("button", name="Convert", exact=True)).to_be_enabled()
    newest = requests.get(f"{server.url}/api/v1/tasks?kind=vc&page_size=1", timeout=30).json()["tasks"][0]
    assert newest["status"] == "cancelled"


def test_what_is_no_recording_is_told_where_it_was_asked(opened: Opened) -> None:
    page = opened("convert", expected="400")
    choose_file(page, b"this is a text", "text.wav")
    page.get_by_role("button", name="Convert", exact=True).click()
    expect(page.locator(".bench-foot .note.bad")).to_be_visible()
    expect(page.get_by_role("button", name="Convert", exact=True)).to_be_enabled()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_nothing_of_it_keeps_anybody_out(dark: bool, opened: Opened, server: LiveServer) -> None:
    page = opened("convert", dark=dark)
    choose_file(page, sound(server, "Short."))
    convert(page)
    page.wait_for_timeout(300)
    assert serious(page) == []


def test_a_phone_shows_all_of_it(opened: Opened, server: LiveServer) -> None:
    page = opened("convert", size=PHONE)
    choose_file(page, sound(server, "Short."))
    convert(page)
    assert no_sideways(page)
    assert serious(page) == []
