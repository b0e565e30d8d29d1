"""Pulling from a hub: whole or not at all, on from where it stopped, and nothing that is here fetched again."""

import builtins
import json
import threading
from collections import namedtuple
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chatterbox_plus.errors import (
    Cancelled,
    DownloadFailed,
    FileExists,
    InvalidModel,
    InvalidOption,
    MissingExtra,
    StorageFull,
    WrongState,
)
from chatterbox_plus.models import pulling
from chatterbox_plus.models.catalog import CATALOG
from chatterbox_plus.models.hub import Hub
from chatterbox_plus.models.pulling import pull, revision
from chatterbox_plus.models.shelf import Installed, Shelf
from chatterbox_plus.net.client import Retries
from tests.models.fake_hub import COMMIT, FakeHub, fake_hub
from tests.models.making import T3_BYTES, files_of, lay

T3 = "t3_nano_v1.safetensors"
ONCE, THRICE = Retries(0, 0, 0, 1, False), Retries(2, 0.01, 0.01, 1, False)


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    chatterbox: dict[str, bytes] = {}
    for name in ("english", "multilingual", "multilingual-v3"):
        chatterbox |= files_of(name)
    repos = {
        CATALOG["english"].repo: chatterbox | {"README.md": b"# Chatterbox"},
        CATALOG["turbo"].repo: files_of("turbo"),
        CATALOG["nano"].repo: files_of("nano") | {"model.yaml": b"x"},
    }
    with fake_hub(repos) as running:
        yield running


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "models", tmp_path / "hub")


@pytest.fixture(autouse=True)
def nobodys_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)


def pulled(
    shelf: Shelf,
    hub: FakeHub,
    name: str = "nano",
    *,
    retries: Retries = ONCE,
    progress: Callable[[int, int, str], None] = lambda done, total, file: None,
    cancel: threading.Event | None = None,
) -> Installed:
    return pull(shelf, Hub(retries, endpoint=hub.url), name, progress, cancel or threading.Event())


@pytest.mark.parametrize("name", CATALOG)
def test_a_pulled_model_is_there_whole(shelf: Shelf, hub: FakeHub, name: str) -> None:
    told: list[tuple[int, int]] = []
    found = pulled(shelf, hub, name, progress=lambda done, total, file: told.append((done, total)))
    assert found == shelf.find(name)
    assert (found.source, revision(found)) == ("pulled", COMMIT)
    assert {path.name: path.read_bytes() for path in found.paths.values()} == files_of(name)
    assert told == sorted(told)
    assert told[-1] == (found.size, found.size)
    assert sorted(path.name for path in found.folder.iterdir()) == sorted([*files_of(name), "pulled.json"])
    assert not shelf.coming(name).exists()


def test_nothing_that_no_engine_needs_is_fetched(shelf: Shelf, hub: FakeHub) -> None:
    pulled(shelf, hub)
    assert not hub.bodies("model.yaml")


def test_an_interrupted_pull_goes_on_where_it_was(shelf: Shelf, hub: FakeHub) -> None:
    hub.cut[T3] = [100_000]
    with pytest.raises(DownloadFailed, match=f"{T3} could not be fetched from 127.0.0.1: the connection broke off"):
        pulled(shelf, hub)
    assert shelf.installed() == []
    assert (shelf.place("nano").begun, shelf.place("nano").problem) == (True, None)
    before = {name: count for name, count in hub.sent.items() if name != T3}
    assert pulled(shelf, hub).paths["t3"].read_bytes() == files_of("nano")[T3]
    assert hub.bodies(T3)[-1].range == "bytes=100000-"
    assert hub.sent[T3] == len(files_of("nano")[T3]), "no byte of it came twice"
    assert {name: count for name, count in hub.sent.items() if name in before} == before


def test_a_connection_that_breaks_is_taken_up_again(shelf: Shelf, hub: FakeHub) -> None:
    """However often, as long as something comes each time."""
    hub.cut[T3] = [50_000] * 5
    assert pulled(shelf, hub, retries=THRICE)
    assert hub.sent[T3] == len(files_of("nano")[T3])


def test_a_hub_that_is_busy_is_asked_again_and_not_without_end(shelf: Shelf, hub: FakeHub) -> None:
    hub.statuses = [503, 429]
    assert pulled(shelf, hub, retries=THRICE)
    hub.statuses = [500] * 3
    with pytest.raises(DownloadFailed, match="status 500"):
        pulled(shelf, hub, "turbo", retries=THRICE)
    assert not hub.statuses


def test_a_mirror_without_ranges_sends_all_of_it_again(shelf: Shelf, hub: FakeHub) -> None:
    hub.knows_ranges = False
    hub.cut[T3] = [100_000]
    with pytest.raises(DownloadFailed):
        pulled(shelf, hub)
    assert pulled(shelf, hub).paths["t3"].read_bytes() == files_of("nano")[T3]


def test_a_called_off_pull_goes_on_later(shelf: Shelf, hub: FakeHub) -> None:
    hub.gates[T3] = threading.Event()
    cancel = threading.Event()

    def progress(done: int, total: int, file: str) -> None:
        if file == T3 and done > 0:
            cancel.set()
            hub.gates[T3].set()

    with pytest.raises(Cancelled):
        pulled(shelf, hub, progress=progress, cancel=cancel)
    assert shelf.installed() == []
    assert pulled(shelf, hub)
    start = int((hub.bodies(T3)[-1].range or "bytes=0-")[6:-1])
    assert 0 < start <= T3_BYTES


@pytest.mark.parametrize("file", [T3, "tokenizer.json"], ids=["by SHA-256", "by Git's name of it"])
def test_a_file_with_another_checksum_is_removed_and_named(shelf: Shelf, hub: FakeHub, file: str) -> None:
    hub.wrong = {file}
    with pytest.raises(DownloadFailed, match=rf"{file} is not what the hub says it is \(its checksum differs\)"):
        pulled(shelf, hub)
    left = {path.name for path in shelf.coming("nano").iterdir()}
    assert file not in left
    assert not [name for name in left if name.endswith(".part")]
    assert shelf.installed() == []
    hub.wrong = set()
    assert pulled(shelf, hub)


def test_what_an_earlier_pull_left_damaged_is_fetched_anew(shelf: Shelf, hub: FakeHub) -> None:
    hub.cut[T3] = [100_000]
    with pytest.raises(DownloadFailed):
        pulled(shelf, hub)
    (part,) = shelf.coming("nano").glob(".*.part")
    part.write_bytes(bytes(100_000))
    assert pulled(shelf, hub).paths["t3"].read_bytes() == files_of("nano")[T3]


def test_what_two_models_share_is_fetched_and_stored_once(shelf: Shelf, hub: FakeHub) -> None:
    pulled(shelf, hub, "multilingual")
    found = pulled(shelf, hub, "multilingual-v3")
    assert len(hub.bodies("s3gen.pt")) == 2, "one redirect, one body"
    assert found.paths["s3gen"].samefile(shelf.find("multilingual").paths["s3gen"])
    shelf.remove("multilingual")
    assert shelf.find("multilingual-v3").paths["s3gen"].exists()


def test_what_the_hubs_cache_has_is_not_fetched_again(shelf: Shelf, hub: FakeHub) -> None:
    assert shelf.hub_cache is not None
    repo = CATALOG["nano"].repo
    digest = next(item for item in hub.info(repo)["siblings"] if item["rfilename"] == T3)["lfs"]["sha256"]
    lay(shelf.hub_cache / f"models--{repo.replace('/', '--')}" / "blobs", {digest: files_of("nano")[T3]})
    assert pulled(shelf, hub)
    assert not hub.bodies(T3)


def test_a_second_pull_fetches_what_is_new(shelf: Shelf, hub: FakeHub) -> None:
    pulled(shelf, hub)
    asked = len(hub.asked)
    pulled(shelf, hub)
    assert len(hub.asked) == asked + 1, "only what there is was asked for"
    changed = files_of("turbo")["tokenizer_config.json"] + b" "
    hub.repos[CATALOG["nano"].repo]["tokenizer_config.json"] = changed
    found = pulled(shelf, hub)
    assert found.paths["tokenizer_config"].read_bytes() == changed
    assert len(hub.asked) == asked + 4, "and then what has changed, behind its redirect"
    assert json.loads((found.folder / "pulled.json").read_bytes())["revision"] == COMMIT


def test_a_damaged_copy_is_mended(shelf: Shelf, hub: FakeHub) -> None:
    files = files_of("nano")
    folder = lay(shelf.folder / "nano", files | {T3: files[T3][:-1], "notes.txt": b"mine"})
    with pytest.raises(InvalidModel):
        shelf.find("nano")
    assert pulled(shelf, hub).source == "pulled"
    assert not hub.bodies("ve.safetensors"), "what was right was kept"
    assert (folder / "notes.txt").read_bytes() == b"mine"


def test_a_token_goes_to_the_hub_and_not_to_where_the_bytes_are(
    shelf: Shelf, hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with fake_hub(hub.repos) as elsewhere:
        hub.cdn = elsewhere.url
        pulled(shelf, hub)
    assert {one.authorization for one in hub.asked} == {"Bearer hf_secret"}
    assert {one.authorization for one in elsewhere.asked} == {None}
    assert elsewhere.sent


def test_a_model_that_does_not_fit_on_the_disk_is_not_begun(
    shelf: Shelf, hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(pulling.shutil, "disk_usage", lambda path: usage(10**9, 10**9, 1000))
    with pytest.raises(StorageFull, match=r"needs 0\.1 GB more; 0\.0 GB are free"):
        pulled(shelf, hub)
    assert not hub.sent


@pytest.mark.parametrize(("status", "told"), [(401, "set HF_TOKEN"), (403, "set HF_TOKEN"), (404, "it is not there")])
def test_a_refusal_is_explained_and_not_tried_again(shelf: Shelf, hub: FakeHub, status: int, told: str) -> None:
    hub.statuses = [status]
    with pytest.raises(DownloadFailed, match=told):
        pulled(shelf, hub, retries=THRICE)
    assert len(hub.asked) == 1


def test_nobody_at_the_other_end_is_explained(shelf: Shelf, hub: FakeHub) -> None:
    for endpoint, told in (
        ("http://127.0.0.1:1", "it cannot be reached"),
        ("gopher://hub", "no http or https URL"),
    ):
        with pytest.raises(DownloadFailed, match=told):
            pull(shelf, Hub(ONCE, endpoint=endpoint), "nano", lambda done, total, file: None, threading.Event())


def test_a_hub_that_talks_nonsense_is_explained(shelf: Shelf, hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    hostile = {"rfilename": T3, "size": 1, "blobId": "../../../canary"}
    for nonsense in ({}, {"sha": "x", "siblings": [{"rfilename": "a"}]}, [], {"sha": "x", "siblings": [hostile]}):
        monkeypatch.setattr(FakeHub, "info", lambda self, repo, told=nonsense: told)
        with pytest.raises(DownloadFailed, match="not what a hub says"):
            pulled(shelf, hub)
    hub.repos[CATALOG["nano"].repo] = {}
    monkeypatch.setattr(FakeHub, "info", lambda self, repo: {"sha": COMMIT, "siblings": []})
    with pytest.raises(DownloadFailed, match=f"has no {T3} any more"):
        pulled(shelf, hub)


def test_a_page_instead_of_an_answer_is_explained(shelf: Shelf, hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the networks of hotels do."""
    monkeypatch.setattr("tests.models.fake_hub.json.dumps", lambda told: "<html>Log in</html>")
    with pytest.raises(DownloadFailed, match="not what a hub says"):
        pulled(shelf, hub)


def test_a_name_that_leads_out_is_never_fetched(shelf: Shelf, hub: FakeHub) -> None:
    hub.repos[CATALOG["nano"].repo]["../../canary"] = b"x"
    pulled(shelf, hub)
    assert not hub.bodies("canary")
    assert not (shelf.folder.parent / "canary").exists()


def test_an_added_folder_is_never_pulled_over(shelf: Shelf, hub: FakeHub, tmp_path: Path) -> None:
    shelf.add("nano", lay(tmp_path / "mine", files_of("nano")))
    with pytest.raises(FileExists, match="models remove nano"):
        pulled(shelf, hub)
    shelf.remove("nano")
    (shelf.folder / "nano").symlink_to(tmp_path / "mine")
    with pytest.raises(FileExists):
        pulled(shelf, hub)


def test_two_pulls_of_a_model_do_not_meet(shelf: Shelf, hub: FakeHub) -> None:
    hub.gates[T3] = threading.Event()
    first = threading.Thread(target=pulled, args=(shelf, hub))
    first.start()
    try:
        while not hub.sent.get(T3):
            assert first.is_alive()
        with pytest.raises(WrongState, match="another program is pulling nano"):
            pulled(shelf, hub)
        assert pulled(shelf, hub, "turbo")
    finally:
        hub.gates[T3].set()
        first.join()
    assert shelf.find("nano")


def test_only_official_models_can_be_pulled(shelf: Shelf, hub: FakeHub) -> None:
    with pytest.raises(InvalidOption, match="only english, "):
        pulled(shelf, hub, "../nano")
    assert not hub.asked


def test_without_the_hubs_library_the_package_to_install_is_named(
    shelf: Shelf, hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def absent(name: str, *more: Any) -> Any:
        if name.startswith("huggingface_hub"):
            raise ImportError(name)
        return real(name, *more)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(MissingExtra, match=r"pip install 'chatterbox-plus\[neural\]'"):
        Hub(ONCE).check()


def test_offline_is_offline(shelf: Shelf, hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(DownloadFailed, match="HF_HUB_OFFLINE is set"):
        pulled(shelf, hub)
    assert not hub.asked


def test_the_environment_says_where_the_hub_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "https://mirror.example/")
    assert Hub(ONCE).endpoint == "https://mirror.example"
