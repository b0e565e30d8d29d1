"""What tasks need goes with them from server to server: takes, and what was sent along."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from chatterbox_plus.errors import StorageAway
from chatterbox_plus.jobs.files import TaskFiles
from chatterbox_plus.library.objects import Objects
from chatterbox_plus.library.shared_content import SharedContent
from chatterbox_plus.library.shared_shelf import SharedShelf
from tests.library.two_servers import Server

KEYS = [f"{n:02x}" + "0" * 62 for n in range(8)]


@pytest.fixture
def objects() -> Objects:
    return Objects.at("memory://")


@pytest.fixture
def two(objects: Objects, tmp_path: Path) -> Iterator[tuple[Server, Server]]:
    servers = Server(tmp_path / "a", objects), Server(tmp_path / "b", objects)
    yield servers
    for server in servers:
        server.mirror.close()


def files(server: Server) -> TaskFiles:
    root = server.data / "jobs"
    return TaskFiles(root, SharedShelf(server.mirror, server.mirror.area("jobs", root, eager=False)))


def sent(server: Server, sound: bytes) -> Path:
    path = server.data / "sent.part"
    path.write_bytes(sound)
    return path


def test_a_take_of_one_server_is_not_spoken_on_another(objects: Objects, tmp_path: Path) -> None:
    a, b = (SharedContent(tmp_path / name, 10**6, objects) for name in "ab")
    a.write(KEYS[0], b"a passage")
    a.close()
    assert b.read(KEYS[0]) == b"a passage"
    assert b.read(KEYS[1]) is None
    objects.delete(f"takes/{KEYS[0][:2]}/{KEYS[0][2:]}")
    assert b.read(KEYS[0]) == b"a passage"  # it is here now
    b.close()


def test_work_never_waits_for_a_store_of_takes_that_is_away(
    objects: Objects, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def away(self: Objects, key: str, *_: object) -> None:
        asked.append(key)
        raise StorageAway("gone")

    monkeypatch.setattr(Objects, "read", away)
    monkeypatch.setattr(Objects, "put", away)
    content = SharedContent(tmp_path, 10**6, objects)
    assert [content.read(key) for key in KEYS] == [None] * len(KEYS)
    assert len(asked) == 1
    content.write(KEYS[0], b"a passage")
    assert content.read(KEYS[0]) == b"a passage"
    content.close()


def test_the_oldest_takes_go_when_there_are_too_many(objects: Objects, tmp_path: Path) -> None:
    content = SharedContent(tmp_path, 1000, objects)
    for key in KEYS:
        content.write(key, bytes(200))
    content.close()
    content.trim()
    assert sum(seen.size for seen in objects.list("takes")) <= 900
    assert {seen.key[6:8] for seen in objects.list("takes")} == {"04", "05", "06", "07"}


def test_what_was_sent_with_a_task_is_there_for_whoever_takes_it_over(two: tuple[Server, Server]) -> None:
    a, b = map(files, two)
    a.take("task_1", {"input_audio": sent(two[0], b"speech")})
    assert b.path("task_1", "input_audio").read_bytes() == b"speech"
    assert not b.path("task_2", "input_audio").exists()
    b.forget("task_1")
    for server in two:
        server.learn()
        assert [path for path in (server.data / "jobs").rglob("*") if path.is_file()] == []


def test_a_look_brings_nothing_of_tasks_that_nobody_works_on_here(two: tuple[Server, Server], objects: Objects) -> None:
    a, b = map(files, two)
    a.take("task_1", {"input_audio": sent(two[0], b"speech")})
    two[1].learn()
    assert not (two[1].data / "jobs").exists()
    b.forget("task_1")  # as after its days are over
    assert list(objects.list("jobs")) == []


def test_a_task_is_not_taken_whose_files_others_cannot_have(
    two: tuple[Server, Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> None:
        raise StorageAway("gone")

    a = files(two[0])
    two[0].mirror.meet()
    monkeypatch.setattr(Objects, "put", away)
    with pytest.raises(StorageAway):
        a.take("task_1", {"input_audio": sent(two[0], b"speech")})
    assert not (two[0].data / "jobs" / "task_1").exists()


def test_the_others_are_followed_until_the_end(objects: Objects, tmp_path: Path) -> None:
    a, b = Server(tmp_path / "a", objects), Server(tmp_path / "b", objects)
    b.mirror._every_s = 0.05
    b.library.follow()
    a.make("new")
    deadline = time.monotonic() + 10
    while b.library.outputs.known("new.wav") is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    for server in (a, b):
        server.library.close()
