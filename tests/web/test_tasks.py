"""Tasks: what works in the background is seen as it happens, and can be stopped, looked into and told again."""

import json
from collections.abc import Iterator

import pytest
import requests
from playwright.sync_api import Page, expect

from tests.api.task_house import Receiver, receiver
from tests.live import LiveServer
from tests.web.conftest import PHONE, Opened, no_sideways, serious, spoken, visit

LONG = "This is a sentence of a text that takes a while to be said. "
MANY = 160  # sentences


@pytest.fixture
def told() -> Iterator[Receiver]:
    with receiver() as taken:
        yield taken


def sent(server: LiveServer, text: str, **options: object) -> str:
    """A task that has only been sent."""
    reply = requests.post(f"{server.url}/api/v1/tts/async", json={"text": text, **options}, timeout=30)
    reply.raise_for_status()
    return str(reply.json()["task_id"])


def status(server: LiveServer, task: str) -> str:
    return str(requests.get(f"{server.url}/api/v1/tasks/{task}", timeout=30).json()["status"])


def test_a_task_is_seen_while_it_works_over_one_connection(page: Page, server: LiveServer) -> None:
    visit(page, "tasks")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    tasks = [sent(server, f"Number {n} of two. {LONG * 60}", seed=n + 1) for n in range(2)]
    visit(page, "speak")
    visit(page, "tasks")
    for n, task in enumerate(tasks):
        row = page.locator(f"[data-task={task}]")
        expect(row).to_contain_text(f"Number {n} of two.")
        expect(row.locator(".state")).to_have_text("Done", timeout=60_000)
    assert len([url for url in asked if "/events" in url]) <= 1


def test_a_task_is_paused_taken_up_and_called_off(page: Page, server: LiveServer) -> None:
    task = sent(server, f"To be stopped. {LONG * MANY}", seed=11)
    visit(page, "tasks")
    row = page.locator(f"[data-task={task}]")
    row.get_by_role("button", name="Pause").click()
    expect(row.locator(".state")).to_have_text("Paused")
    row.get_by_role("button", name="Resume").click()
    expect(row.get_by_role("button", name="Pause")).to_be_visible()
    row.get_by_role("button", name="Cancel").click()
    expect(row.locator(".state")).to_have_text("Cancelled")
    assert status(server, task) == "cancelled"
    row.get_by_role("button", name="Try again").click()
    expect(row.locator(".state")).not_to_have_text("Cancelled")
    row.get_by_role("button", name="Cancel").click()
    expect(row.locator(".state")).to_have_text("Cancelled")


def test_the_list_shows_what_is_asked_for(page: Page, server: LiveServer) -> None:
    task = spoken(server, "Shown among those that are done.")["task_id"]
    visit(page, "tasks")
    page.get_by_label("State").select_option("succeeded")
    expect(page.locator(f"[data-task={task}]")).to_be_visible()
    page.get_by_label("Kind").select_option("concat")
    expect(page.locator(f"[data-task={task}]")).to_have_count(0)
    page.get_by_label("State").select_option("paused")
    expect(page.get_by_text("There is no task like that.")).to_be_visible()
    page.get_by_role("button", name="Show all").click()
    expect(page.locator(f"[data-task={task}]")).to_be_visible()


def test_what_was_made_is_heard_and_opened_sentence_by_sentence(page: Page, server: LiveServer) -> None:
    task = spoken(server, "Heard in the list. And opened.")["task_id"]
    visit(page, "tasks")
    row = page.locator(f"[data-task={task}]")
    row.get_by_role("button", name="Play").click()
    expect(row.get_by_role("button", name="Pause")).to_be_visible()
    page.keyboard.press("Escape")
    row.get_by_role("button", name="More").click()
    page.get_by_role("menuitem", name="Sentence by sentence").click()
    expect(page.locator(".sentence")).to_have_count(2)


def test_the_webhook_is_seen_and_told_again(page: Page, server: LiveServer, told: Receiver) -> None:
    task = spoken(server, "Tell them about it.", webhook_url=told.url)["task_id"]
    told.about(task)
    visit(page, "tasks")
    page.locator(f"[data-task={task}] .name").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("Tell them about it.")).to_be_visible()
    expect(dialog.get_by_text("Delivered")).to_have_count(1)
    dialog.get_by_role("button", name="Tell it again").click()
    expect(dialog.get_by_text("Delivered")).to_have_count(2)
    assert len(told.about(task, 2)) == 2
    assert json.loads(told.bodies[-1])["task_id"] == task
    assert serious(page) == []


def test_why_a_task_failed_is_told_in_words(page: Page, server: LiveServer) -> None:
    broken = {
        "task_id": "task_broken", "kind": "tts", "status": "failed", "success": False, "name": None, "about": "Broken.",
        "progress": {"done": 0, "total": 1, "unit": "passages", "percent": 0, "audio_seconds": 0},
        "elapsed_seconds": 1, "estimated_seconds_left": None, "output_url": None, "output_files": [], "result": None,
        "error": "The engine died twice at this sentence", "error_code": "GENERATION_ERROR", "attempt": 3,
        "created_at": "2026-11-29T07:00:00Z", "updated_at": "", "started_at": None, "finished_at": None, "links": {},
    }  # fmt: skip
    listed = {"tasks": [broken], "total": 1, "has_next": False}
    page.route("**/api/v1/tasks?*", lambda route: route.fulfill(json=listed))
    page.route("**/api/v1/tasks/task_broken", lambda route: route.fulfill(json=broken))
    page.route("**/api/v1/tasks/task_broken/deliveries", lambda route: route.fulfill(json={"deliveries": []}))
    visit(page, "tasks")
    expect(page.locator("[data-task=task_broken]")).to_contain_text("The engine died twice")
    page.locator("[data-task=task_broken] .name").click()
    expect(page.get_by_role("dialog").get_by_text("The engine died twice")).to_be_visible()
    expect(page.get_by_role("dialog").get_by_text("The engine failed")).to_be_visible()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_list_with_something_in_it_keeps_nobody_out(dark: bool, opened: Opened, server: LiveServer) -> None:
    spoken(server, "Something to look at.")
    page = opened("tasks", dark=dark)
    page.wait_for_selector(".task")
    assert serious(page) == []
    phone = opened("tasks", size=PHONE, dark=dark)
    phone.wait_for_selector(".task")
    assert no_sideways(phone)
    assert serious(phone) == []
