"""A browser without the internet in front of a real server: Debian's Chromium, driven by Playwright."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import axe_playwright_python
import pytest
import requests
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

from tests.live import LiveServer
from tests.needs import missing

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--use-fake-device-for-media-stream",  # a microphone that beeps
    "--use-fake-ui-for-media-stream",
    "--host-resolver-rules=MAP * ~NOTFOUND,EXCLUDE 127.0.0.1",
]
TABS = ("speak", "convert", "join", "batch", "voices", "library", "tasks", "system")
WIDE, PHONE = (1280, 800), (360, 740)  # CSS pixels
PATIENCE_MS = 30_000  # for what takes a moment where nothing else runs
TEXT = "The harbour was quiet at six. Two gulls argued over a crust.\n\nThen the first bell rang, low and far away."
_AXE = Path(axe_playwright_python.__file__).parent / "axe.min.js"
_WATCH = """
window.violations = [];
window.shift = 0;
document.addEventListener("securitypolicyviolation", (refused) =>
  violations.push(`${refused.violatedDirective}: ${refused.blockedURI}`));
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) shift += entry.value;
}).observe({ type: "layout-shift", buffered: true });
"""

Opened = Callable[..., Page]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        missing("Chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def opened(browser: Browser, server: LiveServer) -> Iterator[Opened]:
    """opened(tab, size=PHONE, dark=True, url=…, expected="401"): a page of its own, at that tab; None: wherever it is.
    Whatever a page complains about fails the test: what scripts raise, what the policy refused, what the console calls
    an error and is not expected."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def begin(
        tab: str | None = "speak",
        *,
        size: tuple[int, int] = WIDE,
        dark: bool = False,
        url: str = server.url,
        expected: str = "",
    ) -> Page:
        width, height = size
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            has_touch=size == PHONE,
            is_mobile=size == PHONE,
            permissions=["microphone", "clipboard-read", "clipboard-write"],
        )
        contexts.append(context)
        context.add_init_script(_WATCH)
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: complain(said, expected))
        page.goto(url)
        if tab is not None:
            visit(page, tab)
        return page

    def complain(said: ConsoleMessage, expected: str) -> None:
        if said.type == "error" and not (expected and expected in said.text):
            complaints.append(said.text)

    yield begin
    for context in contexts:
        for page in context.pages:
            if not page.is_closed():
                complaints += page.evaluate("window.violations")
        context.close()
    assert not complaints


@pytest.fixture
def page(opened: Opened) -> Page:
    """The page on a wide screen, at Speak."""
    return opened()


def visit(page: Page, tab: str) -> None:
    """Goes to a tab and waits until it is there."""
    page.evaluate("tab => { location.hash = `#/${tab}`; }", tab)
    page.wait_for_selector(f"#tab-{tab}:not([hidden]) h1")


def spoken(server: LiveServer, text: str = TEXT, **options: Any) -> dict[str, Any]:
    """A task that has spoken a text."""
    asked = requests.post(f"{server.url}/api/v1/tts/async", json={"text": text, **options}, timeout=30)
    asked.raise_for_status()
    task = asked.json()["task_id"]
    requests.get(f"{server.url}/api/v1/tasks/{task}/events", timeout=60).raise_for_status()  # until it has ended
    found: dict[str, Any] = requests.get(f"{server.url}/api/v1/tasks/{task}", timeout=30).json()
    assert found["status"] == "succeeded", found
    return found


def made_key(server: LiveServer, name: str = "me", role: str = "admin") -> str:
    """A key of a server that asks for them, made as its owner would, once the server knows it: within a second."""
    command = [
        sys.executable,
        "-m",
        "chatterbox_plus",
        "keys",
        "add",
        name,
        "--role",
        role,
        "--data-dir",
        str(server.data),
    ]
    key = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.strip()
    until = time.monotonic() + PATIENCE_MS / 1000
    while (
        requests.get(f"{server.url}/api/v1/tasks", headers={"Authorization": f"Bearer {key}"}, timeout=30).status_code
        == 401
    ):
        assert time.monotonic() < until
        time.sleep(0.05)
    return key


def no_sideways(page: Page) -> bool:
    """Whether nothing is wider than the screen."""
    return bool(
        page.evaluate(
            "document.querySelector('main').scrollWidth <= innerWidth && document.body.scrollWidth <= innerWidth"
        )
    )


def serious(page: Page) -> list[str]:
    """What axe finds that keeps people out: its serious and critical violations, in words."""
    page.evaluate(_AXE.read_text("utf-8"))  # as the debugger, not as a script of the page: the policy stays as it is
    found = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    return [
        f"{one['impact']}: {one['help']}: {json.dumps([node['html'][:160] for node in one['nodes'][:4]])}"
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
    ]


def press_through(page: Page, wanted: str, most: int = 400) -> None:
    """Tab until what `wanted` selects has the focus: what cannot be reached that way fails the test."""
    for _ in range(most):
        page.keyboard.press("Tab")
        if page.evaluate("wanted => document.activeElement?.matches(wanted)", wanted):
            return
    raise AssertionError(f"the Tab key does not lead to {wanted}")
