"""Models in processes of their own: they come when needed, go when not, and never take more memory than they may."""

import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from safetensors.torch import load_file, save_file

from chatterbox_plus.engines import neural, registry
from chatterbox_plus.engines.base import Passage
from chatterbox_plus.engines.host import EngineHost
from chatterbox_plus.engines.neural import Machine, NeuralOptions, Room, budget
from chatterbox_plus.engines.registry import Engines
from chatterbox_plus.errors import GenerationError, InvalidOption, MissingExtra, ModelLoadError, ModelNotInstalled
from chatterbox_plus.models.shelf import Shelf
from tests.engines.chatterbox import checkpoints
from tests.engines.chatterbox.making import PATIENCE_S, hosting, passage, say, shelved
from tests.fakes import TONE
from tests.models.making import files_of, lay

BOTH = frozenset({"tts", "vc"})
GB = 10**9


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def eventually(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.01)


def pid(host: EngineHost) -> int:
    return int(say(host, passage("pid"))[0])


def prepare(host: EngineHost) -> None:
    host.prepare(BOTH, cancel=threading.Event(), timeout_s=PATIENCE_S)


# A model's process


def test_a_prepared_model_needs_its_files_no_more(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(checkpoints.tiny("nano"), tmp_path / "nano"))
    with hosting(shelved(tmp_path, "nano", folder), tmp_path) as host:
        prepare(host)
        assert host.idle
        shutil.rmtree(folder)
        assert say(host, passage()).any()


def test_preparing_a_damaged_model_names_file_and_key(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(checkpoints.tiny("nano"), tmp_path / "nano"))
    weights = load_file(folder / "t3_nano_v1.safetensors")
    del weights["speech_head.bias"]
    save_file(weights, folder / "t3_nano_v1.safetensors")
    with hosting(shelved(tmp_path, "nano", folder), tmp_path) as host:
        for attempt in (lambda: prepare(host), lambda: say(host, passage())):
            with pytest.raises(ModelLoadError, match=r"t3_nano_v1\.safetensors has no speech_head\.bias") as caught:
                attempt()
            assert str(tmp_path) not in caught.value.message
        assert host.health().failure == caught.value.message
        assert host.health().restarts == 0


def test_a_crash_costs_the_request_in_it_and_an_idle_model_its_process(tmp_path: Path) -> None:
    with hosting(shelved(tmp_path, "nano"), tmp_path, idle_exit_s=1.0) as host, ThreadPoolExecutor(1) as other:
        first = pid(host)
        passages = [Passage(i, text, "en", 1) for i, text in enumerate(("One.", "Then die of it.", "Three."))]
        pieces = host.speak(passages, None, cancel=threading.Event(), timeout_s=PATIENCE_S, ahead=1)
        assert next(pieces).clip.samples.any()
        waiting = other.submit(say, host, passage("Another request."))
        with pytest.raises(GenerationError, match="restarted: try again"):
            next(pieces)
        assert waiting.result().any()
        assert host.health().restarts == 2, "nobody knows yet that it was this passage: it is tried once more"
        second = pid(host)
        eventually(lambda: not host.occupied)
        assert not psutil.pid_exists(first)
        assert not psutil.pid_exists(second)
        assert pid(host) not in (first, second)
        assert host.health().restarts == 2, "to rest is no failure"


def tone_host(**options: object) -> EngineHost:
    return EngineHost(TONE, "tests.fakes:MoodyEngine", workers=1, **options)  # type: ignore[arg-type]


def test_a_host_is_unloaded_only_while_nobody_waits_for_it(tmp_path: Path) -> None:
    gate, host = tmp_path / "gate", tone_host()
    try:
        with ThreadPoolExecutor(1) as caller:
            busy = caller.submit(say, host, passage(f"until {gate}"))
            eventually(lambda: host.health().busy)
            assert not host.unload()
            gate.touch()
            busy.result()
        before = pid(host)
        eventually(lambda: host.idle)
        assert host.unload()
        assert not host.occupied
        assert not psutil.pid_exists(before)
        assert host.unload(), "there is nothing left to end"
        assert pid(host) != before
    finally:
        host.close()


@pytest.mark.parametrize("end", ["cancelled", "closed"])
def test_whoever_is_called_off_while_there_is_no_room_ends_at_once_and_starts_nothing(end: str) -> None:
    asked = threading.Event()

    def no_room(wanted: Callable[[], bool]) -> None:
        asked.set()
        while wanted():
            time.sleep(0.01)

    host, cancel = tone_host(before_start=no_room), threading.Event()
    with ThreadPoolExecutor(1) as caller:
        pieces = host.speak([passage("hello")], None, cancel=cancel, timeout_s=PATIENCE_S)
        waiting = caller.submit(list, pieces)
        assert asked.wait(PATIENCE_S)
        assert not host.idle
        began = time.monotonic()
        if end == "cancelled":
            cancel.set()
            eventually(lambda: host.idle)
        host.close()
        assert time.monotonic() - began < 5
        assert not host.occupied
        with pytest.raises(Exception, match="called off"):
            waiting.result()


# Room


class FakeHost:
    """What `Room` looks at."""

    def __init__(self, used_at: float = 0.0, *, idle: bool = True) -> None:
        self.used_at, self.idle, self.occupied, self.unloaded = used_at, idle, True, 0

    def unload(self) -> bool:
        if not self.idle:
            return False
        self.unloaded += 1
        self.occupied = False
        return True


@pytest.fixture
def room() -> Iterator[Room]:
    """For 10 GB."""
    room = Room(lambda: 10 * GB)
    yield room
    room.close()


def let_in(room: Room, name: str, host: FakeHost, gigabytes: float) -> None:
    room.make(name, host, round(gigabytes * GB))  # type: ignore[arg-type]


def test_models_stay_while_there_is_room(room: Room) -> None:
    hosts = [FakeHost(at) for at in range(3)]
    for number, host in enumerate(hosts):
        let_in(room, str(number), host, 2)
    assert not any(host.unloaded for host in hosts)


def test_the_idle_model_unused_for_longest_makes_room_and_no_more_than_needed(room: Room) -> None:
    old, older, busy = FakeHost(2), FakeHost(1), FakeHost(0, idle=False)
    for name, host in (("old", old), ("older", older), ("busy", busy)):
        let_in(room, name, host, 2)
    let_in(room, "new", FakeHost(), 1.5)
    assert [old.unloaded, older.unloaded, busy.unloaded] == [0, 1, 0]


def test_nobody_is_let_in_beside_busy_models_before_they_are_done(room: Room) -> None:
    busy = FakeHost(idle=False)
    let_in(room, "busy", busy, 6)
    with ThreadPoolExecutor(1) as other:
        waiting = other.submit(let_in, room, "new", FakeHost(), 6)
        time.sleep(0.3)
        assert not waiting.done()
        busy.idle = True
        waiting.result(PATIENCE_S)
    assert busy.unloaded == 1


def test_two_models_at_once_do_not_both_get_the_last_room(room: Room) -> None:
    """The first one has no process yet when the second asks."""
    first, second = FakeHost(idle=False), FakeHost(idle=False)
    first.occupied = second.occupied = False
    let_in(room, "first", first, 6)
    with ThreadPoolExecutor(1) as other:
        waiting = other.submit(let_in, room, "second", second, 6)
        time.sleep(0.3)
        assert not waiting.done()
        first.idle = True  # its start failed
        waiting.result(PATIENCE_S)


def test_a_model_too_large_for_the_room_is_let_in_alone(room: Room) -> None:
    other = FakeHost()
    let_in(room, "other", other, 1)
    let_in(room, "huge", FakeHost(), 100)
    assert other.unloaded == 1


def test_a_model_that_comes_again_is_not_in_its_own_way(room: Room) -> None:
    host = FakeHost(idle=False)
    let_in(room, "it", host, 8)
    let_in(room, "it", host, 8)


def test_closing_and_losing_interest_end_all_waiting(room: Room) -> None:
    let_in(room, "busy", FakeHost(idle=False), 9)
    wanted = [True]
    with ThreadPoolExecutor(2) as others:
        leaving = others.submit(room.make, "a", FakeHost(), 9 * GB, lambda: wanted[0])  # type: ignore[arg-type]
        staying = others.submit(let_in, room, "b", FakeHost(), 9)
        time.sleep(0.2)
        wanted[0] = False
        leaving.result(PATIENCE_S)
        assert not staying.done()
        room.close()
        staying.result(PATIENCE_S)


def test_real_models_take_turns_in_too_small_a_room(tmp_path: Path) -> None:
    room = Room(lambda: 1)
    hosts: dict[str, EngineHost] = {}

    def entering(name: str) -> Callable[[Callable[[], bool]], None]:
        return lambda wanted: room.make(name, hosts[name], GB, wanted)

    for name in ("a", "b"):
        hosts[name] = tone_host(before_start=entering(name))
    try:
        for name in ("a", "b", "a"):
            assert pid(hosts[name])
            assert [other for other, host in hosts.items() if host.occupied] == [name]
        with ThreadPoolExecutor(2) as callers:
            said = [callers.submit(pid, hosts[name]) for name in "abab" for _ in range(3)]
            assert all(each.result(PATIENCE_S) for each in said)
    finally:
        room.close()
        for host in hosts.values():
            host.close()


# The machine


@pytest.fixture
def probes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the next look at the machine tells, a line of JSON; "" once it was looked at."""
    told = ['{"devices": {"cpu": 0, "cuda:0": 24000000000, "cuda:1": 8000000000}}']

    def run(*_: object, **__: object) -> subprocess.CompletedProcess[bytes]:
        answer, told[0] = told[0], ""
        if not answer:
            raise OSError("asked again")
        return subprocess.CompletedProcess([], 0, answer.encode())

    monkeypatch.setattr("chatterbox_plus.engines.neural.subprocess.run", run)
    return told


def test_the_machine_is_looked_at_once(probes: list[str]) -> None:
    machine = Machine("auto")
    assert [machine.accelerated, machine.accelerated] == [True, True]
    assert machine.memory_bytes == 24 * GB
    assert probes == [""]


@pytest.mark.parametrize(("device", "gigabytes"), [("cuda", 24), ("cuda:1", 8)])
def test_the_memory_is_that_of_the_device_that_is_used(probes: list[str], device: str, gigabytes: int) -> None:
    assert Machine(device).memory_bytes == gigabytes * GB
    assert Machine(device).accelerated


def test_a_cpu_is_known_without_looking(probes: list[str]) -> None:
    machine = Machine("cpu")
    assert not machine.accelerated
    assert machine.memory_bytes == psutil.virtual_memory().total
    assert probes != [""]


@pytest.mark.parametrize("told", ["", "no JSON", "{}"])
def test_a_machine_that_cannot_be_looked_at_is_a_cpu(probes: list[str], told: str) -> None:
    probes[0] = told
    machine = Machine("auto")
    assert not machine.accelerated
    assert machine.memory_bytes == psutil.virtual_memory().total


def test_pytorch_tells_what_is_here() -> None:
    assert set(Machine("auto")._found) >= {"cpu"}


def test_models_may_have_three_quarters_of_the_memory_unless_somebody_says_otherwise(probes: list[str]) -> None:
    machine = Machine("cuda:1")
    assert budget(machine, NeuralOptions(Path("prints"))) == 6 * GB
    assert budget(machine, NeuralOptions(Path("prints"), memory_bytes=5)) == 5


# Which model is meant


class GivenMachine(Machine):
    def __init__(self, accelerated: bool) -> None:
        super().__init__("cpu")
        self._given = accelerated

    @property
    def accelerated(self) -> bool:
        return self._given


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "models")


@pytest.fixture
def engines(shelf: Shelf, tmp_path: Path) -> Iterator[Engines]:
    """On a CPU. Nothing is started in these tests."""
    with Engines(shelf=shelf, neural=NeuralOptions(tmp_path / "prints", "cpu")) as engines:
        yield engines


def install(shelf: Shelf, *names: str) -> None:
    for name in names:
        lay(shelf.folder / name, files_of(name))


def test_auto_is_a_small_model_on_a_cpu_and_the_best_one_on_a_gpu(engines: Engines, shelf: Shelf) -> None:
    install(shelf, "english", "multilingual", "turbo", "nano")
    assert engines.get().info.name == "nano"
    engines.machine = GivenMachine(accelerated=True)
    assert engines.get().info.name == "turbo"


@pytest.mark.parametrize(
    ("language", "name"), [("en", "nano"), ("en-US", "nano"), ("fr", "multilingual"), ("pt-BR", "multilingual"),
                           ("nb", "multilingual"), ("cy", "builtin"), ("nonsense", "builtin")]
)  # fmt: skip
def test_auto_goes_by_the_language(engines: Engines, shelf: Shelf, language: str, name: str) -> None:
    install(shelf, "multilingual", "nano")
    assert engines.get("auto", language).info.name == name


def test_the_newer_multilingual_model_is_better(engines: Engines, shelf: Shelf) -> None:
    install(shelf, "multilingual", "multilingual-v3")
    assert engines.get("auto", "de").info.name == "multilingual-v3"


def test_without_pytorch_auto_is_the_builtin_engine_and_a_name_says_what_is_missing(
    engines: Engines, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(shelf, "nano")
    for module in (neural, registry):
        monkeypatch.setattr(module, "packages_installed", lambda: False)
    assert engines.get().info.name == "builtin"
    with pytest.raises(MissingExtra, match=r"pip install 'chatterbox-plus\[neural\]'") as caught:
        engines.get("nano")
    assert caught.value.param == "model"


def test_a_folder_that_was_added_is_a_model_by_its_own_name(engines: Engines, shelf: Shelf, tmp_path: Path) -> None:
    shelf.add("my-voice.2", lay(tmp_path / "mine", files_of("multilingual")))
    host = engines.get("my-voice.2", "de")
    assert host.info.name == "my-voice.2"
    assert "de" in host.info.languages
    assert engines.get_or_auto("my-voice.2") is host
    assert "my-voice.2" in {model.name for model in engines.installed()}
    assert engines.get().info.name == "builtin", "nobody knows how good it is"


def test_a_model_is_made_once(engines: Engines, shelf: Shelf) -> None:
    install(shelf, "nano")
    with ThreadPoolExecutor(8) as callers:
        assert len({id(host) for host in callers.map(lambda _: engines.get("nano"), range(16))}) == 1


def test_a_model_that_changed_is_looked_at_anew(engines: Engines, shelf: Shelf) -> None:
    install(shelf, "nano")
    before = engines.get("nano")
    (shelf.folder / "nano" / "conds.pt").unlink()
    engines.changed("nano")
    with pytest.raises(ModelLoadError, match="stopped"):
        before.warm_up()
    after = engines.get("nano")
    assert before.info.default_voice
    assert not after.info.default_voice
    assert after.info.revision != before.info.revision


def test_a_model_that_went_is_gone_at_once_for_whoever_is_told(engines: Engines, shelf: Shelf) -> None:
    install(shelf, "nano")
    assert engines.get().info.name == "nano"
    shelf.remove("nano")
    engines.changed("nano")
    assert engines.get().info.name == "builtin"
    with pytest.raises(ModelNotInstalled):
        engines.get("nano")


def test_what_another_process_pulls_or_removes_is_noticed_within_seconds(
    engines: Engines, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    clock = SimpleNamespace(monotonic=lambda: now[0])
    monkeypatch.setattr("chatterbox_plus.engines.registry.time", clock)
    assert engines.get().info.name == "builtin"
    install(shelf, "nano")
    assert engines.get("nano").info.name == "nano", "who names it need not wait"
    now[0] += 6
    assert engines.get().info.name == "nano"
    shutil.rmtree(shelf.folder / "nano")
    assert engines.get("auto").info.name == "builtin", "its files are not there"
    now[0] += 6
    assert "nano" not in {model.name for model in engines.installed()} - set(engines.running())


def test_an_unknown_name_is_told_what_there_is(engines: Engines, shelf: Shelf) -> None:
    install(shelf, "nano")
    with pytest.raises(InvalidOption, match="nano"):
        engines.get("nanno")
