"""Pictures of the page for docs/images, with something in it: `make screenshots`."""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

import requests
from playwright.sync_api import Browser, Page, sync_playwright

from tests.live import LiveServer, live_server
from tests.web.conftest import FLAGS, PHONE, WIDE, spoken, visit

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"
MOST = 200_000  # bytes of a picture
STORY = (
    "The harbour was quiet at six. Two gulls argued over a crust, and nobody else was awake to hear it.\n\n"
    "Then the first bell rang, low and far away. By seven the whole town had an opinion about the weather, "
    "and by eight most of them had changed it."
)
BOOK = "# The harbour\n\n" + STORY + "\n\n# The weather\n\n" + STORY


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--to", type=Path, default=IMAGES, help="the folder of the pictures")
    parser.add_argument("--only", help="one picture, by its name")
    given = parser.parse_args()
    given.to.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        with live_server(Path(folder)) as server:
            furnish(server)
            for name, (size, dark, tab, prepare) in PICTURES.items():
                if given.only in (None, name):
                    picture(
                        browser, server.url, given.to / f"{name}.png", size=size, dark=dark, tab=tab, prepare=prepare
                    )
        browser.close()


def furnish(server: LiveServer) -> None:
    """Voices, outputs and tasks to look at."""
    for name, voice, tags, text in (
        ("Greta", "de+f3", "calm, german", "Guten Tag. Ich lese Ihnen heute etwas vor, und zwar ganz in Ruhe."),
        (
            "Old captain",
            "en+m7",
            "deep, story",
            "I have seen more weather than most of you have had breakfasts, believe me.",
        ),
        (
            "Newsroom",
            "en+f2",
            "clear, news",
            "Good evening. Here are the headlines of the day, from all over the country.",
        ),
    ):
        said = {"model": "tts-1", "voice": voice, "input": text, "response_format": "wav"}
        recording = requests.post(f"{server.url}/v1/audio/speech", json=said, timeout=60)
        requests.post(
            f"{server.url}/api/v1/voice",
            files={"voice_file": (f"{name.lower().replace(' ', '-')}.wav", recording.content)},
            data={"name": name, "tags": tags, "description": text.split(".")[0]},
            timeout=60,
        ).raise_for_status()
    spoken(server, STORY)
    spoken(server, "A jingle for the evening news.", speed_factor=1.1)
    requests.post(
        f"{server.url}/api/v1/book", json={"title": "The harbour", "text": BOOK}, timeout=60
    ).raise_for_status()
    batch = {"name": "Announcements", "items": [{"text": "Doors are closing."}, {"text": "Mind the gap."}]}
    requests.post(f"{server.url}/api/v1/batch", json=batch, timeout=60).raise_for_status()


def speak(page: Page) -> None:
    page.get_by_label("Text to speak").fill(STORY)
    page.keyboard.press("Control+Enter")
    page.get_by_text("made in").wait_for()
    page.keyboard.press("Escape")


def listening(page: Page) -> None:
    """Half-way through, the second sentence with two takes."""
    speak(page)
    page.locator(".sentence").nth(1).click()
    page.get_by_role("button", name="Say it again").click()
    page.get_by_role("radio", name="Take 2").wait_for()
    page.get_by_label("Position").evaluate(
        "slider => { slider.value = 4.2; slider.dispatchEvent(new Event('input', { bubbles: true })); }"
    )
    page.get_by_role("button", name="Pause").click()


def nothing(_: Page) -> None:
    """As it is."""


PICTURES: dict[str, tuple[tuple[int, int], bool, str, Callable[[Page], None]]] = {
    "page": (WIDE, False, "speak", listening),
    "page-dark": (WIDE, True, "speak", listening),
    "page-phone": (PHONE, False, "speak", speak),
    "page-voices": (WIDE, False, "voices", nothing),
    "page-book": (WIDE, False, "batch", nothing),
    "page-library": (WIDE, False, "library", nothing),
}


def picture(
    browser: Browser,
    url: str,
    to: Path,
    *,
    size: tuple[int, int],
    dark: bool,
    tab: str,
    prepare: Callable[[Page], None],
) -> None:
    """One PNG. Raises ValueError if it is too large for a README."""
    width, height = size
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if dark else "light",
        is_mobile=size == PHONE,
        has_touch=size == PHONE,
    )
    page = context.new_page()
    page.goto(url)
    visit(page, tab)
    page.wait_for_load_state("networkidle")
    prepare(page)
    page.evaluate("document.activeElement?.blur()")
    page.mouse.move(0, 0)
    page.wait_for_timeout(400)  # until what moves has come to rest
    page.screenshot(path=to)
    context.close()
    if to.stat().st_size > MOST:
        raise ValueError(f"{to.name} has {to.stat().st_size} bytes")


if __name__ == "__main__":
    main()
