"""What a filter lets through and in which order."""

import json
import os
from datetime import UTC, datetime

import pytest

from chatterbox_plus.errors import InvalidOption, PermissionDenied
from chatterbox_plus.library.catalog import Filter, Order, filter_of, folders, siblings, summary
from chatterbox_plus.library.index import Snapshot
from chatterbox_plus.library.store import Store

BY_PATH = Order("filename")
FILES: dict[str, dict[str, object]] = {
    "anna.wav": {
        "name": "Ännchen",
        "tags": ["Warm", "female"],
        "usage_count": 3,
        "created_date": "2025-06-22T09:00Z",
    },
    "bert.mp3": {"description": "A NARRATOR of books", "created_date": "2025-06-23T10:00:00Z", "duration_seconds": 2},
    "project/carl.wav": {"tags": ["warm"], "text": "Once upon a time", "type": "tts"},
    "project/deep/anna.wav": {"duration_seconds": 1, "usage_count": 9},
    "project1/dora.wav": {"type": "vc", "duration_seconds": 3},
    "project1/dora.mp3": {},
    "a b/[x]*?.wav": {},
}


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    store = Store(tmp_path_factory.mktemp("voices"))
    for size, (name, sidecar) in enumerate(FILES.items(), start=1):
        path = store.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * size)
        store.sidecar(path).write_text(json.dumps({**sidecar, "file_size_bytes": size}))
        os.utime(path, (1_600_000_000 + size, 1_600_000_000 + size))
    (store.root / "empty" / "leaf").mkdir(parents=True)
    return store.index.snapshot()


def passing(snapshot: Snapshot, found: Filter) -> set[str]:
    return {entry.path for entry in found.of(snapshot, BY_PATH)}


EVERYTHING = set(FILES)
FILTERS = [
    ({}, EVERYTHING),
    ({"folder": "", "search": " ", "tag": "", "filenames": [""], "date_from": ""}, EVERYTHING),
    ({"folder": "/"}, EVERYTHING),
    ({"folder": "/project"}, PermissionDenied),
    ({"folder": "."}, EVERYTHING),
    ({"folder": "project"}, {"project/carl.wav", "project/deep/anna.wav"}),
    ({"folder": "project/"}, {"project/carl.wav", "project/deep/anna.wav"}),
    ({"folder": "project\\deep"}, {"project/deep/anna.wav"}),
    ({"folder": "pro"}, set()),
    ({"folder": "nowhere"}, set()),
    ({"folder": "../voices"}, PermissionDenied),
    ({"folder": "a\0"}, InvalidOption),
    ({"search": "ÄNN"}, {"anna.wav"}),
    ({"search": "A\u0308nnchen"}, {"anna.wav"}),
    ({"search": "narrator"}, {"bert.mp3"}),
    ({"search": "fem"}, {"anna.wav"}),
    ({"search": "upon a"}, {"project/carl.wav"}),
    ({"search": "project1"}, {"project1/dora.wav", "project1/dora.mp3"}),
    ({"search": "*"}, {"a b/[x]*?.wav"}),
    ({"search": ".*"}, set()),
    ({"tag": "warm"}, {"anna.wav", "project/carl.wav"}),
    ({"tag": "war"}, set()),
    ({"tag": "warm", "folder": "project"}, {"project/carl.wav"}),
    ({"type": "vc"}, {"project1/dora.wav"}),
    ({"filenames": ["anna.wav"]}, {"anna.wav"}),
    ({"filenames": ["anna.wav, dora.mp3,unknown.wav"]}, {"anna.wav", "project1/dora.mp3"}),
    ({"filenames": ["deep/anna.wav"]}, {"project/deep/anna.wav"}),
    ({"filenames": ["anna"]}, set()),
    ({"filenames": ["*.wav"]}, set()),
    ({"filenames": ["[x]*?.wav"]}, {"a b/[x]*?.wav"}),
    ({"filenames": ["a,b", "dora.wav"]}, {"project1/dora.wav"}),
    ({"filenames": ["dora.wav"], "folder": "project", "search": "anna"}, {"project1/dora.wav"}),
    ({"filenames": ["../anna.wav"]}, PermissionDenied),
    ({"date_from": "2025-06-22", "date_to": "2025-06-23"}, {"anna.wav", "bert.mp3"}),
    ({"date_from": "2025-06-23T10:00:00Z"}, {"bert.mp3"}),
    ({"date_from": "2025-06-23T12:00:00 02:00"}, {"bert.mp3"}),
    ({"date_from": "2025-06-23T12:00:01+02:00"}, set()),
    ({"date_to": "2020-09-13"}, EVERYTHING - {"anna.wav", "bert.mp3"}),
    ({"date_to": "0001-01-01T00:00:00+14:00"}, set()),
    ({"date_from": "yesterday"}, InvalidOption),
    ({"date_to": "2025-13-01"}, InvalidOption),
]  # fmt: skip


@pytest.mark.parametrize(
    ("sent", "expected"), FILTERS, ids=lambda value: str(sorted(value) if isinstance(value, set) else value)[:60]
)
def test_a_filter_lets_through(snapshot, sent, expected):
    if isinstance(expected, set):
        assert passing(snapshot, filter_of(**sent)) == expected
    else:
        with pytest.raises(expected):
            filter_of(**sent).of(snapshot, BY_PATH)


@pytest.mark.parametrize("sent", [{}, {"folder": "./"}, {"search": " \t"}, {"filenames": [" , "]}, {"tag": " "}])
def test_a_filter_that_says_nothing_is_open(sent):
    assert filter_of(**sent).is_open


ORDERS = [
    (Order("filename"), ["[x]*?.wav", "anna.wav", "anna.wav", "bert.mp3", "carl.wav", "dora.mp3", "dora.wav"]),
    (Order("file_size", descending=True), [*reversed([name.rpartition("/")[2] for name in FILES])]),
    (Order("usage_count", descending=True), ["anna.wav", "anna.wav", "[x]*?.wav", "bert.mp3"]),
    (Order("duration"), ["anna.wav", "bert.mp3", "dora.wav", "[x]*?.wav"]),
    (Order("duration", descending=True), ["dora.wav", "bert.mp3", "anna.wav", "[x]*?.wav"]),
    (Order("generation_type"), ["carl.wav", "[x]*?.wav"]),
    (Order("name", descending=True), ["anna.wav", "dora.mp3", "dora.wav"]),
]  # fmt: skip


@pytest.mark.parametrize(("order", "first"), ORDERS, ids=str)
def test_an_order_is_total_and_unknown_durations_come_last(snapshot, order, first):
    ordered = [entry.filename for entry in Filter().of(snapshot, order)]
    assert len(ordered) == len(FILES)
    assert ordered[: len(first)] == first


def test_the_newest_come_first(snapshot):
    assert [entry.path for entry in Order("created_date", descending=True).of(snapshot)][:2] == ["bert.mp3", "anna.wav"]


def test_a_bare_name_means_the_files_nearest_to_the_root(snapshot):
    named = Filter(names=("anna.wav", "deep/anna.wav", "nobody.wav")).named(snapshot)
    assert {name: [entry.path for entry in entries] for name, entries in named.items()} == {
        "anna.wav": ["anna.wav"],
        "deep/anna.wav": ["project/deep/anna.wav"],
    }


def test_formats_of_one_generation_are_siblings(tmp_path):
    store = Store(tmp_path / "outputs", sidecar_per_stem=True)
    for name in ("t.wav", "t.mp3", "t.v2.wav", "t2.wav", "t .wav", "x/t.wav", "t.wav.flac"):
        (store.root / name).parent.mkdir(exist_ok=True)
        (store.root / name).write_bytes(b"x")
    snapshot = store.index.snapshot()
    found = {entry.path: [other.path for other in siblings(snapshot, entry)] for entry in snapshot.entries}
    assert found.pop("t.mp3") == found.pop("t.wav") == ["t.mp3", "t.wav"]
    assert all(others == [path] for path, others in found.items())


def test_the_summary_counts_what_passed(snapshot):
    assert summary(Filter(folder="project1").of(snapshot, BY_PATH)) == {
        "total_files": 2,
        "total_size_bytes": 11,
        "generation_types": {"unknown": 1, "vc": 1},
    }


def test_every_folder_is_told_with_its_own_files(snapshot):
    told = folders(snapshot)
    assert [(folder["path"], folder["file_count"]) for folder in told["folders"]] == [
        ("root", 2), ("a b", 1), ("empty", 0), ("empty/leaf", 0), ("project", 1), ("project/deep", 1), ("project1", 2),
    ]  # fmt: skip
    assert told["folders"][0]["subfolders"] == ["a b", "empty", "project", "project1"]
    assert told["folders"][4]["subfolders"] == ["project/deep"]
    assert (told["total_folders"], told["total_files"], told["total_voices"]) == (7, 7, 7)
    nested = told["folder_structure"]["root"]["subfolders"]["project"]
    assert nested == {
        "voice_count": 1,
        "file_count": 1,
        "subfolders": {"deep": {"voice_count": 1, "file_count": 1, "subfolders": {}}},
    }


def test_folders_without_end_are_told_too(tmp_path):
    store = Store(tmp_path / "voices")
    deep = store.root.joinpath(*["d"] * 300)
    deep.mkdir(parents=True)
    told = folders(store.index.snapshot())
    assert told["total_folders"] == 301
    json.dumps(told)


def test_the_date_a_moment_is_compared_in_is_utc():
    assert filter_of(date_from="2025-06-22").since == datetime(2025, 6, 22, tzinfo=UTC)
