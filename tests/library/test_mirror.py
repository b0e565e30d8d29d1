"""Several servers have their audio in common, whatever kind of store is between them."""

import os
import random
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import obstore
import pytest
from obstore.exceptions import GenericError

from chatterbox_plus.errors import FileExists, NotFound, SettingsError, StorageAway
from chatterbox_plus.house import build_studio
from chatterbox_plus.library import changes, objects
from chatterbox_plus.library.holds import Hold
from chatterbox_plus.library.objects import MARK, Objects
from chatterbox_plus.library.retention import Policy, Retention
from chatterbox_plus.settings import Settings
from tests.library.s3 import serving
from tests.library.two_servers import Open, Server, put_by_hand

Start = Callable[[str], Server]


@pytest.fixture(params=["file", "memory", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """The way to one store; each server has its own, except where it is this process's memory."""
    if request.param == "file":
        yield lambda: Objects.at((tmp_path / "the store").as_uri())
    elif request.param == "memory":
        one = Objects.at("memory://")
        yield lambda: one
    else:
        with serving() as (_, url):
            keys = {"AWS_ENDPOINT_URL": url, "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "s", "AWS_REGION": "r"}
            for name, value in keys.items():
                monkeypatch.setenv(name, value)
            yield lambda: Objects.at("s3://bucket/some/prefix")


@pytest.fixture
def start(store: Open, tmp_path: Path) -> Iterator[Start]:
    running: list[Server] = []

    def one(name: str) -> Server:
        running.append(Server(tmp_path / name, store()))
        return running[-1]

    yield one
    for server in running:
        server.mirror.close()


@pytest.fixture
def two(start: Start) -> tuple[Server, Server]:
    return start("a"), start("b")


def away(monkeypatch: pytest.MonkeyPatch, *calls: str) -> None:
    """From now on the store does not answer."""

    def fails(*_: object, **__: object) -> None:
        raise GenericError("Generic S3 error: connection refused https://store/bucket?X-Amz-Signature=secret\nmore")

    monkeypatch.setattr(objects, "WAITS_S", (0.0, 0.0))
    for call in calls or ("put", "get", "head", "list", "delete"):
        monkeypatch.setattr(obstore, call, fails)


def left(folder: Path) -> list[str]:
    """Every file, hidden ones too."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


# What one makes, others have


def test_what_one_server_made_another_serves_at_once(two: tuple[Server, Server]) -> None:
    a, b = two
    made = a.make("hello", b"hello there", folder="book")
    found = b.library.outputs.exact("book/hello.wav")
    assert found.read_bytes() == b"hello there"
    assert b.library.outputs.read_sidecar(found)["files"] == {"wav": "hello.wav", "mp3": "hello.mp3"}
    assert b.library.outputs.exact("book/hello.mp3").read_bytes() == b"ereht olleh"
    assert found.stat().st_mtime_ns == made[".wav"].stat().st_mtime_ns  # or a player's ranges break between servers


def test_a_look_brings_all_that_is_new_and_the_next_one_nothing(
    two: tuple[Server, Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = two
    for n in range(5):
        a.make(f"n{n}")
    a.upload("voice.wav", name="Ada")
    b.learn()
    assert left(b.data / "outputs") == left(a.data / "outputs")
    assert b.library.voice("voice").name == "Ada"
    away(monkeypatch, "put", "delete", "head")
    for server in two:
        server.learn()
    assert len(b.library.outputs.files()) == 10


def test_a_voice_is_found_by_its_bare_name_soon_and_by_its_path_at_once(
    two: tuple[Server, Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = two
    with pytest.raises(NotFound):
        b.library.voice("ada")
    a.upload("ada.wav", b"a", name="Ada", owner="team")
    with pytest.raises(NotFound):
        b.library.voice("ada")  # it was asked a moment ago
    monkeypatch.setattr("chatterbox_plus.library.mirror.LOOK_S", 0.0)
    monkeypatch.setattr("chatterbox_plus.library.mirror._SHARE", 0.0)
    assert b.library.voice("ada").name == "Ada"
    a.upload("bob.wav", b"b", owner="team")
    found = b.library.voices.exact("bob.wav")
    assert b.library.voices.read_sidecar(found)["owner"] == "team"  # who may change it is known with it


def test_a_project_finds_its_own_on_every_server(two: tuple[Server, Server]) -> None:
    a, b = two
    a.make("mine", folder="team")
    a.make("theirs", folder="other")
    team = b.library.within("team").outputs
    assert b.has(team, "mine.wav") == b.has(team, "team/mine.wav") == b"sound"
    assert b.has(team, "theirs.wav") is None
    assert b.has(team, "other/theirs.wav") is None


def test_a_deleted_output_is_gone_for_all(two: tuple[Server, Server]) -> None:
    a, b = two
    a.make("old", folder="book")
    a.make("kept")
    b.learn()
    deleted = changes.delete(a.library.outputs, [a.library.outputs.exact(f"book/old{s}") for s in (".wav", ".mp3")])
    assert len(deleted.files) == 3
    assert a.has(a.library.outputs, "book/old.wav") is None
    for server in two:
        server.learn()
    assert left(b.data / "outputs") == left(a.data / "outputs") == ["kept.json", "kept.mp3", "kept.wav"]
    assert not (b.data / "outputs" / "book").exists()


def test_what_is_in_use_goes_when_it_is_not(two: tuple[Server, Server]) -> None:
    a, b = two
    a.make("joined")
    b.learn()
    changes.delete(a.library.outputs, [a.library.outputs.exact("joined.wav")])
    with Hold(b.library.outputs.root / "joined.wav"):
        b.learn()
        assert b.library.outputs.known("joined.wav")
    b.learn()
    assert not b.library.outputs.known("joined.wav")


def test_a_voice_is_replaced_described_and_moved_for_all(two: tuple[Server, Server]) -> None:
    a, b = two
    a.upload("ada.wav", b"first", name="Ada")
    b.learn()
    b.upload("ada.wav", b"second", overwrite=True, name="Ada II")
    changes.revise(a.library.voices, a.library.voices.exact("ada.wav"), lambda told: told.update(description="d"))
    a.learn()
    voice = a.library.voice("ada")
    assert (voice.path.read_bytes(), voice.name, voice.description) == (b"second", "Ada II", "d")
    changes.revise(a.library.voices, voice.path, lambda told: None, "people")
    b.learn()
    assert b.library.voice("people/ada.wav").description == "d"
    assert left(b.data / "reference_audio") == ["people/ada.wav", "people/ada.wav.json"]
    assert left(a.data / "reference_audio") == left(b.data / "reference_audio")


def test_uses_are_told_to_others_by_the_next_look(two: tuple[Server, Server]) -> None:
    a, b = two
    a.upload("ada.wav")
    a.library.note_use(a.library.voice("ada"))
    sidecar = a.data / "reference_audio" / "ada.wav.json"
    put_by_hand(sidecar, sidecar.read_bytes())  # some seconds go by
    a.learn()
    b.learn()
    assert b.library.voice("ada").usage_count == 1


# Two at once


def test_two_servers_that_choose_one_name_get_two(two: tuple[Server, Server]) -> None:
    a, b = two
    with b.library.outputs.reserve("", "same", (".wav", "_uncut.wav")) as place:
        a.make("same", b"of a")
        place.open(".wav").write(b"of b")
        place.open("_uncut.wav").write(b"more of b")
        place.write_json({"files": {"wav": place.name(".wav")}, "uncut_file": place.name("_uncut.wav")})
        made = place.commit()
    assert made[".wav"].name == "same_2.wav"
    told = a.library.outputs.read_sidecar(a.library.outputs.exact("same_2.wav"))
    assert (told["files"]["wav"], told["uncut_file"]) == ("same_2.wav", "same_2_uncut.wav")
    assert a.has(a.library.outputs, "same_2_uncut.wav") == b"more of b"
    b.learn()
    assert b.has(b.library.outputs, "same.wav") == b"of a"
    assert not [name for name in left(b.data / "outputs") if name.startswith(".")]
    with pytest.raises(FileExists):
        b.make("same", numbered=False)


def test_of_two_uploads_of_one_name_the_second_is_refused(two: tuple[Server, Server]) -> None:
    a, b = two
    a.upload("ada.wav", b"of a", name="A")
    with pytest.raises(FileExists, match="overwrite"):
        b.upload("ada.wav", b"of b", name="B")
    assert left(b.data / "reference_audio") == []
    assert b.library.voice("ada.wav").name == "A"


def test_a_task_that_was_taken_over_comes_to_the_same_names(two: tuple[Server, Server]) -> None:
    a, b = two
    a.make("chapter", b"by a", owner="task_1")
    again = b.make("chapter", b"by b", owner="task_1")
    assert again[".wav"].name == "chapter.wav"
    a.learn()
    assert a.has(a.library.outputs, "chapter.wav") == b"by b"
    assert b.make("chapter", owner="task_2")[".wav"].name == "chapter_2.wav"


def test_of_two_descriptions_the_stores_counts(two: tuple[Server, Server]) -> None:
    a, b = two
    path = a.upload("ada.wav", name="Ada")
    b.learn()
    put_by_hand(b.data / "reference_audio" / "ada.wav.json", b'{"name": "of b"}')
    changes.revise(a.library.voices, path, lambda told: told.update(name="of a"))
    for server in (b, a, b):
        server.learn()
    assert a.library.voice("ada").name == b.library.voice("ada").name == "of a"


def test_of_two_recordings_put_there_by_hand_both_stay(two: tuple[Server, Server]) -> None:
    a, b = two
    put_by_hand(a.data / "vc_inputs" / "talk.wav", b"of a")
    put_by_hand(b.data / "vc_inputs" / "talk.wav", b"of b")
    put_by_hand(a.data / "vc_inputs" / "same.wav", b"same", age_s=10)
    put_by_hand(b.data / "vc_inputs" / "same.wav", b"same", age_s=90)
    for server in (a, b, b, a):
        server.learn()
    for server in two:
        assert left(server.data / "vc_inputs") == ["same.wav", "talk.wav", "talk_2.wav"]
        assert server.has(server.library.inputs, "talk.wav") == b"of a"


# By hand


def test_what_is_put_here_by_hand_is_shared_once_it_is_whole(two: tuple[Server, Server]) -> None:
    a, b = two
    put_by_hand(a.data / "vc_inputs" / "talks" / "ready.wav", b"ready")
    put_by_hand(a.data / "vc_inputs" / "talks" / "growing.wav", b"gro", age_s=0)
    for server in two:
        server.learn()
    assert left(b.data / "vc_inputs") == ["talks/ready.wav"]


def test_a_folder_emptied_by_hand_is_filled_anew(two: tuple[Server, Server]) -> None:
    a, b = two
    a.make("kept")
    a.learn()
    for path in (a.data / "outputs").iterdir():
        path.unlink()
    a.learn()
    assert a.has(a.library.outputs, "kept.wav") == b"sound"
    b.learn()
    assert len(left(b.data / "outputs")) == 3


def test_a_file_where_others_have_a_folder_keeps_nothing_else_out(two: tuple[Server, Server]) -> None:
    a, b = two
    a.make("one", folder="book")
    a.make("two")
    put_by_hand(b.data / "outputs" / "book", b"a file")
    b.learn()
    assert b.has(b.library.outputs, "two.wav") == b"sound"
    assert b.has(b.library.outputs, "book/one.wav") is None


def test_only_what_is_audio_or_about_it_is_in_common(two: tuple[Server, Server]) -> None:
    a, b = two
    for name in ("notes.txt", ".hidden.wav", "tale.vtt"):
        put_by_hand(a.data / "outputs" / name, b"x")
    outside = a.data / "elsewhere.wav"
    put_by_hand(outside, b"secret")
    with suppress(OSError):  # Windows asks for a privilege
        (a.data / "outputs" / "link.wav").symlink_to(outside)
    for server in two:
        server.learn()
    assert left(b.data / "outputs") == ["tale.vtt"]


@pytest.mark.parametrize("key", ["outputs/.hidden.wav", "outputs/a/..b/x.wav", "outputs/b\\c.wav", "outputs/x.exe"])
def test_a_key_that_no_file_of_ours_has_is_left_alone(key: str, store: Open, start: Start) -> None:
    kept = store()
    kept.put(key, b"x")
    server = start("a")
    server.learn()
    assert left(server.data / "outputs") == []
    assert kept.head(key) is not None


# A store that fails


def test_nothing_is_made_that_others_cannot_have(
    two: tuple[Server, Server], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    a, b = two
    a.make("before")
    with monkeypatch.context() as broken:
        away(broken, "put")
        for attempt in (lambda: a.make("new"), lambda: a.upload("ada.wav")):
            with pytest.raises(StorageAway) as told:
                attempt()
            assert told.value.status == 503
        assert "secret" not in caplog.text
        assert "connection refused" in caplog.text
    for server in (a, b, a):
        server.learn()
    assert left(a.data / "outputs") == left(b.data / "outputs") == ["before.json", "before.mp3", "before.wav"]
    assert left(a.data / "reference_audio") == []
    assert a.make("new")[".wav"].name == "new.wav"


def test_a_store_that_breaks_half_way_keeps_no_half(
    two: tuple[Server, Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = two
    put, puts = obstore.put, []

    def twice(*words: object, **more: object) -> object:
        puts.append(words[1])
        if len(puts) > 3:  # of the mark, the sidecar and the first format
            raise GenericError("no more")
        return put(*words, **more)  # type: ignore[call-overload]

    monkeypatch.setattr(objects, "WAITS_S", ())
    monkeypatch.setattr(obstore, "put", twice)
    with pytest.raises(StorageAway):
        a.make("half")
    b.learn()
    assert left(b.data / "outputs") == left(a.data / "outputs") == []


def test_what_fails_once_is_tried_again(two: tuple[Server, Server], monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = two
    put, failed = obstore.put, set[object]()

    def lossy(*words: object, **more: object) -> object:
        """Puts, and loses the first answer about each object."""
        done = put(*words, **more)  # type: ignore[call-overload]
        if words[1] not in failed:
            failed.add(words[1])
            raise GenericError("the answer was lost")
        return done

    monkeypatch.setattr(objects, "WAITS_S", (0.0, 0.0))
    monkeypatch.setattr(obstore, "put", lossy)
    assert a.make("once")[".wav"].name == "once.wav"
    assert b.has(b.library.outputs, "once.mp3") == b"dnuos"


def test_nothing_is_deleted_that_others_keep(two: tuple[Server, Server], monkeypatch: pytest.MonkeyPatch) -> None:
    a, _ = two
    path = a.make("kept")[".wav"]
    with monkeypatch.context() as broken:
        away(broken, "delete")
        with pytest.raises(StorageAway):
            changes.delete(a.library.outputs, [path])
    assert path.read_bytes() == b"sound"


def test_while_the_store_is_away_what_is_here_works_and_the_rest_says_so(
    two: tuple[Server, Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = two
    a.make("here")
    a.upload("ada.wav")
    b.make("elsewhere")
    away(monkeypatch)
    assert a.has(a.library.outputs, "here.wav") == b"sound"
    assert a.library.voice("ada").path
    with pytest.raises(StorageAway):
        a.library.outputs.exact("elsewhere.wav")
    with pytest.raises(NotFound):
        a.library.voice("alloy")  # a name that may be the engine's own


def test_a_file_that_arrives_in_part_is_never_seen(two: tuple[Server, Server], monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = two
    a.make("long")

    def part(_: Objects, key: str, target: Path) -> None:
        target.write_bytes(b"so")
        raise StorageAway("gone")

    with monkeypatch.context() as broken:
        broken.setattr(Objects, "fetch", part)
        with pytest.raises(StorageAway):
            b.library.outputs.exact("long.wav")
    assert left(b.data / "outputs") == []
    assert b.has(b.library.outputs, "long.wav") == b"sound"


def test_a_folder_that_is_not_mounted_deletes_nothing_and_takes_nothing(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    server = Server(tmp_path / "a", Objects.at(shared.as_uri()))
    server.make("kept")
    server.learn()
    shared.rename(tmp_path / "unmounted")
    shared.mkdir()
    for attempt in (server.learn, lambda: server.make("new")):
        with pytest.raises(StorageAway):
            attempt()
    assert left(server.data / "outputs") == ["kept.json", "kept.mp3", "kept.wav"]
    assert left(shared) == []
    server.mirror.close()


def test_another_store_is_filled_from_here(tmp_path: Path) -> None:
    first = Server(tmp_path / "a", Objects.at("memory://"))
    first.make("kept")
    first.learn()
    first.mirror.close()
    for path in (tmp_path / "a" / "outputs").iterdir():
        os.utime(path, (1_700_000_000, 1_700_000_000))
    other = Objects.at("memory://")
    again = Server(tmp_path / "a", other)
    again.learn()
    assert {seen.key for seen in other.list("outputs")} == {f"outputs/kept.{s}" for s in ("json", "mp3", "wav")}
    again.mirror.close()


def test_a_lost_or_damaged_record_costs_a_comparison(start: Start, tmp_path: Path) -> None:
    server = start("a")
    server.make("kept")
    server.mirror.close()
    (tmp_path / "a" / "mirror.sqlite").write_bytes(b"no database " * 1000)
    again = start("a")
    again.learn()
    assert left(again.data / "outputs") == ["kept.json", "kept.mp3", "kept.wav"]


# Retention


def test_what_retention_removes_is_gone_for_all(two: tuple[Server, Server]) -> None:
    a, b = two
    a.make("old", bytes(4000))
    b.learn()
    for path in (a.data / "outputs").iterdir():
        os.utime(path, (1_700_000_000, 1_700_000_000))
    a.make("new")
    done = Retention(a.library, Policy(outputs_max_bytes=5000)).run("outputs")
    assert len(done["output_size_cleanup"].files) == 3
    for server in two:
        server.learn()
        assert left(server.data / "outputs") == ["new.json", "new.mp3", "new.wav"]


# Settings


def test_a_server_without_the_packages_says_which(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in sys.modules if name.startswith(("obstore", "chatterbox_plus.library.mirror"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "chatterbox_plus.library.objects")
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(SettingsError, match="chatterbox-plus\\[s3\\]"):
        build_studio(settings(tmp_path, "s3://bucket"))


@pytest.mark.parametrize(
    "url", ["bucket", "ftp://secret@host/x", "file://host/x", "file:///", "s3://", "http://secret.example"]
)
def test_a_url_of_no_store_is_refused_without_being_repeated(url: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"storage\.storage_url") as told:
        build_studio(settings(tmp_path, url))
    assert "secret" not in told.value.message


def test_a_store_that_is_away_at_the_start_stops_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(tmp_path / "a", Objects.at("memory://"))
    away(monkeypatch)
    with pytest.raises(SettingsError, match=r"storage\.storage_url"):
        server.library.meet()
    server.mirror.close()


def test_the_starter_files_are_made_by_one_server(two: tuple[Server, Server]) -> None:
    a, b = two
    with a.library.first_start() as fresh:
        assert fresh
        a.make("intro")
    with b.library.first_start() as fresh:
        assert not fresh


def settings(data: Path, url: str) -> Settings:
    return Settings.model_validate({"paths": {"data_dir": data}, "storage": {"storage_url": url}})


def test_the_mark_is_made_once(two: tuple[Server, Server], store: Open) -> None:
    for server in two:
        server.learn()
    assert two[0].mirror.record.store == two[1].mirror.record.store == (store().read(MARK) or b"").decode() != ""


def test_whatever_two_servers_do_at_once_they_end_with_the_same(
    two: tuple[Server, Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[tuple[str, bytes]] = []  # what somebody was told is there

    def work(server: Server, seed: int) -> None:
        chance = random.Random(seed)
        for n in range(8):
            sound = f"{seed} {n}".encode()
            with suppress(FileExists, NotFound):  # another one was first
                match chance.randrange(6):
                    case 0 | 1:
                        path = server.make(f"take{chance.randrange(3)}", sound)[".wav"]
                        made.append((path.name, sound))
                    case 2:
                        server.upload(f"v{chance.randrange(3)}.wav", sound, overwrite=chance.random() < 0.7, by=seed)
                    case 3:
                        changes.delete(server.library.voices, [server.library.voices.exact("v1.wav")])
                    case 4:
                        where = chance.choice(["", "moved"])
                        changes.revise(server.library.voices, server.library.voices.resolve("v2"), dict, where)
                    case _:
                        server.learn()

    threads = [threading.Thread(target=work, args=(two[n % 2], n)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    monkeypatch.setattr("chatterbox_plus.library.mirror_pass.SETTLED_S", 0.0)  # some seconds go by
    for server in (*two, *two):
        server.learn()
    a, b = (
        {name: (server.data / name).read_bytes() for name in left(server.data) if "sqlite" not in name}
        for server in two
    )
    assert a == b
    assert not [name for name in a if Path(name).name.startswith(".")]
    assert len({name for name, _ in made}) == len(made)
    assert {name: a[f"outputs/{name}"] for name, _ in made} == dict(made)
