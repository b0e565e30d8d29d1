"""What holds for each tab of the page: on every screen, for everybody, and with nothing from elsewhere."""

import json
import re
from importlib.resources import files
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.live import LiveServer, live_server
from tests.web.conftest import PHONE, TABS, Opened, made_key, no_sideways, press_through, serious, visit

KILOBYTES = 150
_WEB = Path(str(files("chatterbox_plus") / "web"))
_SHOWN = (
    r"""(?:button|more|field|checkbox|toast|dialog|segments|confirmed)\(\s*["'`]([^"'`]*)""",
    r"""["'](?:aria-label|title|placeholder|alt)["']?:\s*["'`]([^"'`]*)""",
    r"""\bh\("\w+", \{[^{}]*\}, ["'`]([^"'`]*)""",
    r"""(?:textContent|title|placeholder) = ["'`]([^"'`]*)""",
)
SHIFT = 0.02
FIRST_PAINT_MS = 200


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("tab", TABS)
def test_nothing_keeps_anybody_out(tab: str, dark: bool, opened: Opened) -> None:
    page = opened(tab, dark=dark)
    page.wait_for_load_state("networkidle")
    assert serious(page) == []


@pytest.mark.parametrize("tab", TABS)
def test_a_phone_shows_all_of_it(tab: str, opened: Opened) -> None:
    page = opened(tab, size=PHONE)
    page.wait_for_load_state("networkidle")
    assert no_sideways(page)
    assert serious(page) == []


@pytest.mark.parametrize("tab", TABS)
def test_nothing_moves_while_it_loads(tab: str, opened: Opened) -> None:
    page = opened(tab)
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(200)
    assert page.evaluate("window.shift") < SHIFT


def test_each_tab_brings_the_styles_it_needs(page: Page, opened: Opened, server: LiveServer) -> None:
    """It looks the same whether it is the first that is seen or the last."""
    for tab in TABS:
        visit(page, tab)
        page.wait_for_load_state("networkidle")
    for tab in TABS:
        visit(page, tab)
        first = opened(None, url=f"{server.url}/#/{tab}")
        first.wait_for_selector(f"#tab-{tab}:not([hidden]) h1")
        first.wait_for_load_state("networkidle")
        looks = [
            one.locator(f"#tab-{tab} h1, #tab-{tab} .button").evaluate_all(
                "found => found.map((one) => [one.textContent, one.getBoundingClientRect().x])"
            )
            for one in (page, first)
        ]
        assert looks[0] == looks[1]
        first.close()


def test_all_tabs_together_are_small(page: Page) -> None:
    """What the browser gets of the page itself, compressed as it comes, each part once: it keeps what it has."""
    for tab in TABS:
        visit(page, tab)
        page.wait_for_load_state("networkidle")
    sizes = page.evaluate(
        "() => [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]"
        ".map((one) => [one.name.split('#')[0], one.encodedBodySize])"
    )
    parts = {url: size for url, size in sizes if size and not re.search(r"/(api|v1|outputs)/", url)}
    assert len(parts) > 3 * len(TABS)
    assert sum(parts.values()) < KILOBYTES * 1000


@pytest.mark.alone
def test_the_first_paint_takes_a_moment(opened: Opened) -> None:
    """Of five visits the best, since a machine may be busy."""
    paints = []
    for _ in range(5):
        page = opened()
        paints.append(page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime"))
    assert min(paints) < FIRST_PAINT_MS


def test_every_tab_is_reached_with_keys_alone(page: Page) -> None:
    for tab in ("voices", "system", "speak"):
        page.evaluate("document.activeElement.blur()")
        press_through(page, f"a[data-tab={tab}]")
        page.keyboard.press("Enter")
        page.wait_for_selector(f"#tab-{tab}:not([hidden])")
        page.wait_for_function("() => document.activeElement.id === 'main'")
    page.keyboard.press("6")
    page.wait_for_selector("#tab-library:not([hidden])")
    page.keyboard.press("?")
    assert page.get_by_role("dialog").get_by_role("row").count() == 6
    page.keyboard.press("Escape")
    assert page.get_by_role("dialog").count() == 0


def test_what_the_first_tab_needs_is_asked_for_at_once(page: Page) -> None:
    """The shell names every module that Speak loads: no module is found only when another has come."""
    page.wait_for_load_state("networkidle")
    named = page.evaluate("[...document.querySelectorAll('link[rel=modulepreload]')].map((link) => link.href)")
    loaded = page.evaluate("performance.getEntriesByType('resource').map((one) => one.name)")
    modules = {url for url in loaded if url.endswith(".js")}
    assert modules - set(named) == {url for url in modules if url.endswith(("/main.js", "/theme.js"))}


def test_light_or_dark_is_remembered(page: Page) -> None:
    look = "getComputedStyle(document.body).color"
    light = page.evaluate(look)
    page.locator("#theme").click()
    assert page.evaluate(look) != light
    page.reload()
    page.wait_for_selector("h1")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"


def test_the_page_asks_for_a_key_where_the_server_does(opened: Opened, tmp_path: Path) -> None:
    with live_server(tmp_path / "house", env={"CHATTERBOX_API_KEY_REQUIRED": "true"}) as guarded:
        key = made_key(guarded)
        page = opened(None, url=guarded.url, expected="401")
        page.get_by_label("Key").fill("cbp_00000000_wrong")
        page.get_by_role("button", name="Enter").click()
        page.get_by_text("not one of this server's").wait_for()
        page.get_by_label("Key").fill(key)
        page.get_by_role("button", name="Enter").click()
        page.wait_for_selector("#tab-speak h1")
        page.get_by_role("button", name="Sign out").click()
        page.get_by_label("Key").wait_for()
        page.close()


def test_words_are_in_one_file() -> None:
    """Scripts show no words of their own: they would not be translated. And every key they ask for is there."""
    words = json.loads((_WEB / "text" / "en.json").read_text("utf-8"))
    for path in sorted((_WEB / "js").rglob("*.js")):
        code = re.sub(r"/\*[\s\S]*?\*/|^\s*//.*$|\s// .*$", "", path.read_text("utf-8"), flags=re.M)
        shown = [one for kind in _SHOWN for one in re.findall(kind, code) if _is_a_word(one)]
        assert not shown, f"{path.name}: {shown}"
        for key in re.findall(r"""\bt\(["']([\w.]+)["']""", code):
            found = words
            for part in key.split("."):
                assert part in found, f"{path.name}: no words for {key}"
                found = found[part]


def test_no_script_or_style_is_inline(page: Page) -> None:
    """The policy forbids it, and nothing of the page asks for it."""
    for path in _WEB.rglob("*.js"):
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", path.read_text("utf-8")
        ), path
    assert page.evaluate("document.querySelectorAll('style, script:not([src]), [style]:not(html)').length") == 0


def _is_a_word(literal: str) -> bool:
    return bool(re.search(r"[A-Za-z]{2}", re.sub(r"\$\{[^}]*\}", "", literal)))
