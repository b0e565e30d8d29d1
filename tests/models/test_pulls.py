"""Pulls that run beside everything else: one of a model, called off and taken up, and nobody left waiting."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from chatterbox_plus.errors import InvalidOption, NotFound, Stopping, WrongState
from chatterbox_plus.models.catalog import CATALOG
from chatterbox_plus.models.hub import Hub
from chatterbox_plus.models.pulls import Pulls, PullState, PullStatus
from chatterbox_plus.models.shelf import Shelf
from chatterbox_plus.net.client import Retries
from tests.models.fake_hub import FakeHub, fake_hub
from tests.models.making import files_of

T3 = "t3_nano_v1.safetensors"
WAIT_S = 20


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with fake_hub({CATALOG[name].repo: files_of(name) for name in ("nano", "turbo")}) as running:
        yield running


@pytest.fixture
def changes() -> list[str]:
    return []


@pytest.fixture
def pulls(tmp_path: Path, hub: FakeHub, changes: list[str]) -> Iterator[Pulls]:
    made = Pulls(Shelf(tmp_path / "models"), Hub(Retries(0, 0, 0, 1, False), endpoint=hub.url), changes.append)
    yield made
    for gate in hub.gates.values():
        gate.set()
    made.close()


def ended(pulls: Pulls, name: str = "nano") -> PullState:
    deadline = time.monotonic() + WAIT_S
    while not (state := pulls.get(name)).status.is_final:
        assert time.monotonic() < deadline, state
        time.sleep(0.005)
    return state


def half(pulls: Pulls, hub: FakeHub, name: str = "nano") -> None:
    """Begin a pull and wait until it has a part of its T3, which then stands still."""
    hub.gates[T3] = threading.Event()
    pulls.start(name)
    deadline = time.monotonic() + WAIT_S
    while pulls.get(name).file != T3 or not pulls.get(name).bytes_done:
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_pull_ends_with_the_model_there(pulls: Pulls, changes: list[str]) -> None:
    begun = pulls.start("nano")
    assert (begun.status, begun.bytes_done, begun.total_bytes) == (PullStatus.RUNNING, 0, None)
    state = ended(pulls)
    size = sum(map(len, files_of("nano").values()))
    assert (state.status, state.bytes_done, state.total_bytes) == (PullStatus.SUCCEEDED, size, size)
    assert state.finished is not None
    assert state.started <= state.finished
    assert pulls.shelf.find("nano")
    assert changes == ["nano"]


def test_a_second_request_joins_the_first(pulls: Pulls, hub: FakeHub) -> None:
    half(pulls, hub)
    assert pulls.start("nano").started == pulls.get("nano").started
    assert len([one for one in hub.asked if "/api/" in one.path]) == 1
    assert pulls.start("turbo").model == "turbo", "another model has a thread of its own"
    assert ended(pulls, "turbo").status is PullStatus.SUCCEEDED
    hub.gates[T3].set()
    assert ended(pulls).status is PullStatus.SUCCEEDED


def test_what_was_called_off_is_kept_for_the_next(pulls: Pulls, hub: FakeHub, changes: list[str]) -> None:
    half(pulls, hub)
    assert pulls.cancel("nano").status is PullStatus.CANCELLING
    with pytest.raises(WrongState, match="being called off"):
        pulls.start("nano")
    hub.gates[T3].set()
    assert ended(pulls).status is PullStatus.CANCELLED
    assert changes == []
    with pytest.raises(WrongState, match="ended already"):
        pulls.cancel("nano")
    pulls.start("nano")
    assert ended(pulls).status is PullStatus.SUCCEEDED
    assert hub.bodies(T3)[-1].range


def test_what_failed_says_why(pulls: Pulls, hub: FakeHub) -> None:
    hub.statuses = [404]
    pulls.start("nano")
    state = ended(pulls)
    assert (state.status, state.error_code) == (PullStatus.FAILED, "DOWNLOAD_FAILED")
    assert "it is not there" in (state.error or "")


def test_a_model_is_not_removed_under_its_own_pull(pulls: Pulls, hub: FakeHub, changes: list[str]) -> None:
    half(pulls, hub)
    with pytest.raises(WrongState, match="being pulled"):
        pulls.remove("nano")
    hub.gates[T3].set()
    ended(pulls)
    changes.clear()
    assert pulls.remove("nano").installed is None
    assert changes == ["nano", "nano"], "before it goes, and when it has gone"


def test_names_that_are_none_are_refused(pulls: Pulls) -> None:
    for name in ("auto", "tiny", "../nano"):
        with pytest.raises(InvalidOption):
            pulls.start(name)
        with pytest.raises(NotFound):
            pulls.cancel(name)
        with pytest.raises(NotFound):
            pulls.remove(name)
    with pytest.raises(NotFound):
        pulls.get("nano")


def test_a_server_that_stops_does_not_wait_for_a_hub_that_hangs(pulls: Pulls, hub: FakeHub) -> None:
    half(pulls, hub)
    began = time.monotonic()
    pulls.close()
    assert time.monotonic() - began < 5
    with pytest.raises(Stopping):
        pulls.start("turbo")
