"""Speak: a text becomes sound while one watches, and every sentence of it can be had otherwise."""

import json

import pytest
import requests
from playwright.sync_api import Page, expect

from tests.live import LiveServer
from tests.web.conftest import PHONE, TEXT, Opened, no_sideways, press_through, serious, spoken

SENTENCES = 3
LONG = " ".join(f"This is sentence number {n} of a text that takes a while to say." for n in range(1, 141))
_WATCH_PLAY = """
const play = HTMLMediaElement.prototype.play;
HTMLMediaElement.prototype.play = function () {
  if (document.querySelector(".sentence")) window.pending ??= document.querySelectorAll(".sentence.pending").length;
  return play.call(this);
};
"""


def speak(page: Page, text: str = TEXT) -> None:
    """Types a text and has it spoken, to the end."""
    page.get_by_label("Text to speak").fill(text)
    page.get_by_role("button", name="Speak", exact=True).click()
    page.get_by_text("made in").wait_for()


def seconds(page: Page) -> float:
    """Where the player is."""
    return float(page.get_by_label("Position").input_value())


def until_later(page: Page, than: float) -> None:
    """Waits until the player has gone on."""
    page.wait_for_function("than => Number(document.querySelector('.dock .track input').value) > than", arg=than)


def test_a_text_is_heard_and_the_sentence_that_sounds_is_marked(page: Page) -> None:
    speak(page)
    until_later(page, 0.3)
    assert page.locator(".sentence").count() == SENTENCES
    assert page.locator(".sentence.sounding").count() == 1
    first = page.locator(".sentence.sounding").inner_text()
    page.wait_for_function(
        "first => ![undefined, first].includes(document.querySelector('.sentence.sounding')?.textContent)", arg=first
    )
    page.keyboard.press("Escape")
    page.wait_for_function("() => !document.querySelector('.sentence.sounding')")
    page.wait_for_function("() => Number(document.querySelector('.dock .track input').value) === 0")


def test_sound_begins_before_all_of_it_is_made(page: Page) -> None:
    """The first sentence is fetched, and plays, while most of the others are still to be spoken."""
    page.add_init_script(_WATCH_PLAY)
    page.reload()
    page.wait_for_selector("#tab-speak h1")
    page.get_by_label("Text to speak").fill(LONG)
    page.keyboard.press("Control+Enter")
    until_later(page, 0.2)
    assert page.evaluate("window.pending") > 0
    page.keyboard.press("Escape")  # which calls the rest off


def test_characters_and_time_are_told_while_one_types(page: Page) -> None:
    page.get_by_label("Text to speak").fill("")
    speaking = page.get_by_role("button", name="Speak", exact=True)
    expect(speaking).to_be_disabled()
    page.get_by_label("Text to speak").fill("Thirty characters are in here.")
    expect(page.get_by_text("30 characters · about 2 s of speech")).to_be_visible()
    expect(speaking).to_be_enabled()
    page.get_by_label("Text to speak").fill("x" * 10_001)
    expect(page.get_by_text("1 character too many")).to_be_visible()
    expect(speaking).to_be_disabled()


def test_one_sentence_is_said_again_and_the_rest_is_kept(page: Page, server: LiveServer) -> None:
    speak(page)
    before = requests.get(f"{server.url}/api/v1/tasks?kind=tts&page_size=1", timeout=30).json()["tasks"][0]
    page.locator(".sentence").nth(1).click()
    page.get_by_label("Words of this sentence").fill("Three gulls sang.")
    page.get_by_role("button", name="Say it again").click()
    expect(page.get_by_role("radio", name="Take 2")).to_be_checked()
    expect(page.locator(".sentence").nth(1)).to_have_text("Three gulls sang.")
    page.get_by_role("button", name="Say it again").click()
    expect(page.get_by_role("radio", name="Take 3")).to_be_checked()
    page.get_by_role("radio", name="Take 2").check()
    page.get_by_role("button", name="Make the file").click()
    page.get_by_text("The file is made").wait_for()
    after = requests.get(f"{server.url}/api/v1/tasks?kind=tts&page_size=1", timeout=30).json()["tasks"][0]
    assert after["task_id"] != before["task_id"]
    told = requests.get(f"{server.url}/api/v1/tasks/{before['task_id']}/passages", timeout=30).json()["passages"]
    assert [len(passage["takes"]) for passage in told] == [0, 2, 0]
    assert [take["chosen"] for take in told[1]["takes"]] == [True, False]
    page.get_by_role("radio", name="Take 1").check()
    expect(page.locator(".sentence").nth(1)).to_have_text("Two gulls argued over a crust.")


def test_a_file_is_saved_in_a_format_that_one_chooses(page: Page) -> None:
    speak(page)
    page.get_by_role("button", name="Download").first.click()
    with page.expect_download() as saved:
        page.get_by_role("menuitem", name="Save as MP3").click()
    assert saved.value.suggested_filename.endswith(".mp3")
    assert saved.value.path().stat().st_size > 1000


def test_another_seed_is_another_task(page: Page) -> None:
    speak(page)
    with page.expect_request("**/api/v1/tts/async") as asked:
        page.get_by_role("button", name="Another seed").click()
    assert "seed" not in json.loads(asked.value.post_data or "")


def test_a_preset_is_kept_on_the_server_and_loaded_again(page: Page, opened: Opened, server: LiveServer) -> None:
    page.get_by_label("Speed, exact value").fill("1.3")
    page.get_by_label("Speed, exact value").blur()
    page.get_by_text("What is done to the sound").click()
    page.get_by_label("Even out the loudness").check()
    page.get_by_role("button", name="Presets").click()
    page.get_by_role("menuitem", name="Save these settings").click()
    page.get_by_label("Name").fill("Brisk")
    page.get_by_role("dialog").get_by_role("button", name="Save").click()
    expect(page.get_by_label("Preset", exact=True)).to_have_value("Brisk")
    kept = requests.get(f"{server.url}/api/v1/presets/Brisk", timeout=30).json()
    assert "1.3" in json.dumps(kept)
    elsewhere = opened()
    elsewhere.get_by_label("Preset", exact=True).select_option("Brisk")
    expect(elsewhere.get_by_label("Speed, exact value")).to_have_value("1.3")
    with elsewhere.expect_request("**/api/v1/tts/async") as asked:
        elsewhere.get_by_label("Text to speak").fill("Quickly.")
        elsewhere.keyboard.press("Control+Enter")
    assert json.loads(asked.value.post_data or "") == {"speed_factor": 1.3, "normalize_audio": True, "text": "Quickly."}


def test_only_what_differs_from_the_servers_defaults_is_sent(page: Page) -> None:
    page.get_by_label("Text to speak").fill("As it comes.")
    with page.expect_request("**/api/v1/tts/async") as asked:
        page.keyboard.press("Control+Enter")
    assert json.loads(asked.value.post_data or "") == {"text": "As it comes."}


def test_a_voice_is_found_heard_and_spoken_with(page: Page) -> None:
    page.get_by_role("button", name="Voice Default voice").click()
    page.get_by_label("Search by name").fill("narrator")
    with page.expect_response("**/v1/audio/speech") as heard:
        page.get_by_role("button", name="Hear narrator").click()
    assert heard.value.ok
    until_later(page, 0.1)
    page.get_by_role("dialog").get_by_role("button", name="narrator 0:05").click()
    expect(page.get_by_role("button", name="Voice narrator")).to_be_visible()
    page.get_by_label("Text to speak").fill("In another voice.")
    with page.expect_request("**/api/v1/tts/async") as asked:
        page.keyboard.press("Control+Enter")
    assert json.loads(asked.value.post_data or "")["reference_audio_filename"] == "narrator.wav"


def test_everything_is_done_with_keys_alone(page: Page) -> None:
    press_through(page, "textarea.text")
    page.keyboard.press("Control+A")
    page.keyboard.type("One thing. Another thing.")
    page.keyboard.press("Control+Enter")
    page.get_by_text("made in").wait_for()
    page.evaluate("document.activeElement.blur()")
    press_through(page, ".sentence")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Sentence 2 of 2")).to_be_visible()
    press_through(page, ".strip .redo button")
    page.keyboard.press("Enter")
    expect(page.get_by_role("radio", name="Take 2")).to_be_checked()
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("Escape")
    page.keyboard.press(" ")
    until_later(page, 0.1)
    page.keyboard.press(" ")
    stood = seconds(page)
    page.wait_for_timeout(300)
    assert seconds(page) == pytest.approx(stood, abs=0.05)


def test_what_is_wrong_is_told_where_it_was_asked(opened: Opened) -> None:
    page = opened(expected="503")
    page.route(
        "**/api/v1/tts/async",
        lambda route: route.fulfill(status=503, json={"error": "The house is full", "error_code": "BUSY"}),
    )
    page.get_by_label("Text to speak").fill("Anybody there?")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".desk-foot").get_by_text("The house is full")).to_be_visible()


def test_a_task_is_opened_from_its_address(page: Page, server: LiveServer) -> None:
    task = spoken(server)["task_id"]
    page.evaluate("task => { location.hash = `#/speak?task=${task}`; }", task)
    expect(page.locator(".sentence")).to_have_count(SENTENCES)
    page.get_by_text("made in").wait_for()
    page.locator(".sentence").nth(2).click()
    until_later(page, 2)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_what_was_spoken_keeps_nobody_out(dark: bool, opened: Opened) -> None:
    page = opened(dark=dark)
    speak(page)
    page.wait_for_timeout(300)
    assert serious(page) == []
    page.get_by_role("button", name="Voice Default voice").click()
    page.get_by_label("Search by name").wait_for()
    page.wait_for_selector(".pick")
    assert serious(page) == []


def test_a_phone_shows_what_was_spoken(opened: Opened) -> None:
    page = opened(size=PHONE)
    speak(page)
    assert no_sideways(page)
    assert serious(page) == []
    assert page.evaluate("window.shift") < 0.02


def test_leaving_and_coming_back_keeps_everything(page: Page) -> None:
    speak(page)
    page.keyboard.press("Escape")
    page.locator("a[data-tab=library]").click()
    page.wait_for_selector("#tab-library:not([hidden])")
    page.locator("a[data-tab=speak]").click()
    expect(page.locator(".sentence")).to_have_count(SENTENCES)
    page.reload()
    expect(page.get_by_label("Text to speak")).to_have_value(TEXT)
