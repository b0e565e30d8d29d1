"""System: who speaks and why, models that come and go, figures, room, keys and errors."""

import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Page, expect

from chatterbox_plus.models.catalog import CATALOG
from tests.live import LiveServer, live_server
from tests.models.fake_hub import FakeHub, fake_hub
from tests.models.making import files_of
from tests.web.conftest import Opened, made_key, serious, spoken, visit

T3 = "t3_nano_v1.safetensors"


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    with fake_hub({CATALOG["nano"].repo: files_of("nano")}) as running:
        yield running
        for gate in running.gates.values():
            gate.set()


@pytest.fixture
def near_hub(tmp_path: Path, hub: FakeHub) -> Iterator[LiveServer]:
    """A server whose hub is on this machine."""
    env = {"HF_ENDPOINT": hub.url, "HF_HUB_CACHE": str(tmp_path / "hub"), "NO_PROXY": "127.0.0.1"}
    with live_server(tmp_path / "house", env=env) as running:
        yield running


def test_it_says_who_speaks_and_why(page: Page) -> None:
    visit(page, "system")
    expect(page.get_by_text("Built-in voice speaks")).to_be_visible()
    expect(page.get_by_text("No Chatterbox model is here yet")).to_be_visible()
    row = page.locator("[data-model=builtin]")
    expect(row).to_contain_text("Default")
    expect(page.locator("[data-model=nano]").get_by_role("button", name="Get Chatterbox Nano")).to_be_visible()


def test_a_model_is_fetched_stopped_fetched_on_and_removed(opened: Opened, near_hub: LiveServer, hub: FakeHub) -> None:
    hub.gates[T3] = threading.Event()
    page = opened("system", url=near_hub.url)
    row = page.locator("[data-model=nano]")
    row.get_by_role("button", name="Get Chatterbox Nano").click()
    expect(row.get_by_label("How much is here")).to_be_visible()
    expect(row).to_contain_text(T3)
    row.get_by_role("button", name="Stop").click()
    expect(row).to_contain_text("Being stopped")
    hub.gates[T3].set()
    row.get_by_role("button", name="Go on with Chatterbox Nano").click()
    expect(row.get_by_role("button", name="More about Chatterbox Nano")).to_be_visible()
    assert requests.get(f"{near_hub.url}/api/v1/models/nano", timeout=30).json()["installed"]
    row.get_by_role("button", name="More about Chatterbox Nano").click()
    page.get_by_role("menuitem", name="Remove Chatterbox Nano").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove", exact=True).click()
    expect(row.get_by_role("button", name="Get Chatterbox Nano")).to_be_visible()
    assert not requests.get(f"{near_hub.url}/api/v1/models/nano", timeout=30).json()["installed"]
    page.close()


def test_why_a_model_could_not_be_fetched_is_told_with_it(opened: Opened, near_hub: LiveServer, hub: FakeHub) -> None:
    hub.wrong.add(T3)
    page = opened("system", url=near_hub.url)
    row = page.locator("[data-model=nano]")
    row.get_by_role("button", name="Get Chatterbox Nano").click()
    expect(row).to_contain_text(re.compile("checksum|not what", re.I))
    expect(row.get_by_role("button", name="Go on with Chatterbox Nano")).to_be_visible()
    page.close()


def test_figures_and_room_are_shown(page: Page, server: LiveServer) -> None:
    spoken(server, "Something to count.")
    visit(page, "system")
    expect(page.get_by_role("img", name=re.compile("^Requests: now"))).to_be_visible()
    assert page.locator(".chart .line[d]").count() >= 6
    expect(page.get_by_text("Outputs", exact=True)).to_be_visible()
    page.get_by_role("button", name="What can go?").click()
    expect(page.get_by_text(re.compile("nothing to clean up|would go"))).to_be_visible()


def test_nothing_is_removed_that_was_not_shown_and_confirmed(page: Page) -> None:
    visit(page, "system")
    report = {"actions": {"temp": {"details": ["temp/old.wav"]}}, "total_files_removed": 1, "total_bytes_freed": 2048}
    asked: list[dict[str, object]] = []

    def answer(route: object) -> None:
        asked.append(route.request.post_data_json)  # type: ignore[attr-defined]
        route.fulfill(json=report)  # type: ignore[attr-defined]

    page.route("**/api/v1/cleanup", answer)
    page.get_by_role("button", name="What can go?").click()
    expect(page.get_by_text("temp/old.wav")).to_be_visible()
    page.get_by_role("button", name="Remove them").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    assert [one.get("dry_run") for one in asked] == [True]
    page.get_by_role("button", name="Remove them").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove them").click()
    expect(page.get_by_text("1 gone")).to_be_visible()
    assert [bool(one.get("dry_run")) for one in asked] == [True, False]


def test_errors_are_told_in_words(page: Page, server: LiveServer) -> None:
    requests.post(f"{server.url}/api/v1/tts", json={"text": ""}, timeout=30)
    visit(page, "system")
    page.get_by_role("button", name="Refused requests").click()
    expect(page.get_by_role("list", name="Recent errors").get_by_text("POST /api/v1/tts").first).to_be_visible()


def test_keys_are_made_shown_once_and_revoked(opened: Opened, tmp_path: Path) -> None:
    with live_server(tmp_path / "house", env={"CHATTERBOX_API_KEY_REQUIRED": "true"}) as guarded:
        page = opened(None, url=guarded.url, expected="401")
        page.get_by_label("Key").fill(made_key(guarded))
        page.get_by_role("button", name="Enter").click()
        page.wait_for_selector("#tab-speak h1")
        visit(page, "system")
        expect(page.get_by_role("list", name="Keys").get_by_text("You")).to_be_visible()
        page.get_by_role("button", name="New key").click()
        page.get_by_label("Name", exact=True).fill("ana")
        page.get_by_role("button", name="Make the key").click()
        key = page.get_by_label("Key", exact=True).input_value()
        assert key.startswith("cbp_")
        page.get_by_role("button", name="Copy").click()
        expect(page.get_by_text("Copied.")).to_be_visible()
        page.get_by_role("dialog").get_by_role("button", name="Close").last.click()
        assert key not in page.content()
        page.get_by_role("button", name="Revoke ana").click()
        page.get_by_role("dialog").get_by_role("button", name="Revoke", exact=True).click()
        expect(page.get_by_role("button", name="Revoke ana")).to_have_count(0)
        page.close()


def test_a_user_sees_who_speaks_and_no_administration(opened: Opened, tmp_path: Path) -> None:
    with live_server(tmp_path / "house", env={"CHATTERBOX_API_KEY_REQUIRED": "true"}) as guarded:
        page = opened(None, url=guarded.url, expected="401")
        page.get_by_label("Key").fill(made_key(guarded, "ana", "user"))
        page.get_by_role("button", name="Enter").click()
        page.wait_for_selector("#tab-speak h1")
        visit(page, "system")
        expect(page.get_by_text("Built-in voice speaks")).to_be_visible()
        expect(page.get_by_text("are for keys of the role admin")).to_be_visible()
        assert page.get_by_role("button", name="Get Chatterbox Nano").count() == 0
        page.close()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_dialog_about_a_model_keeps_nobody_out(dark: bool, opened: Opened) -> None:
    page = opened("system", dark=dark)
    page.get_by_role("button", name="Refused requests").click()
    page.wait_for_timeout(200)
    assert serious(page) == []
