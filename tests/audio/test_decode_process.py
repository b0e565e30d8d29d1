"""What happens to a decoding child happens to its file and to nothing else."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from chatterbox_plus.audio.decode import DecodeLimits, Decoder
from chatterbox_plus.errors import AudioTooLong, Cancelled, InvalidAudio, PlusError
from tests.audio.recordings import record, sine

SOON_S = 20.0  # for waits that end by themselves; only a broken test takes so long


@pytest.fixture
def pool() -> Iterator[Decoder]:
    with Decoder(workers=1) as decoder:
        decoder.warm_up()
        yield decoder


@pytest.fixture
def minute(tmp_path: Path) -> Path:
    """More than a pipe can hold, so that the child cannot be done before we are."""
    return record(tmp_path / "minute.wav", sine(440, 60, 24_000))


def children() -> list[psutil.Process]:
    """The decoding children of this process, oldest first."""
    found = [p for p in psutil.Process().children() if any(part.endswith("decode_child") for part in p.cmdline())]
    return sorted(found, key=lambda p: p.create_time())


def newest_child() -> psutil.Process:
    return children()[-1]


def test_a_child_that_dies_in_a_file_fails_only_that_file(minute: Path) -> None:
    with Decoder() as pool, pool.stream(minute) as other:
        with pool.stream(minute) as stream:
            first = next(stream)
            newest_child().kill()
            with pytest.raises(InvalidAudio, match=r"minute\.wav: it cannot be decoded"):
                list(stream)
        assert len(first) > 0
        assert sum(len(block) for block in other) == 60 * 24_000
        assert pool.read(minute).duration_s == 60


def test_a_child_that_died_while_idle_is_replaced_unnoticed(pool: Decoder, minute: Path) -> None:
    child = newest_child()
    child.kill()
    psutil.wait_procs([child], timeout=SOON_S)
    assert pool.read(minute).duration_s == 60
    assert newest_child().pid != child.pid


def test_children_are_used_again(pool: Decoder, minute: Path) -> None:
    """After a whole file, a bad file, and a listener who left in the middle."""
    child = newest_child()
    pool.read(minute)
    bad = minute.with_name("bad.wav")
    bad.write_bytes(b"not audio")
    with pytest.raises(InvalidAudio):
        pool.read(bad)
    with pool.stream(minute) as stream:
        next(stream)
    pool.read(minute)
    assert newest_child().pid == child.pid


def test_further_streams_get_further_children_which_then_end(pool: Decoder, minute: Path) -> None:
    before = len(children())
    with pool.stream(minute), pool.stream(minute), pool.stream(minute):
        assert len(children()) == before + 2
    assert len(children()) == before


def test_a_call_is_cancelled_while_its_child_says_nothing(pool: Decoder, minute: Path) -> None:
    cancel = threading.Event()
    newest_child().suspend()
    timer = threading.Timer(0.1, cancel.set)
    timer.start()
    with pytest.raises(Cancelled):
        pool.read(minute, cancel=cancel)
    timer.join()
    assert pool.read(minute).duration_s == 60


def test_a_stream_is_cancelled_between_two_blocks(pool: Decoder, minute: Path) -> None:
    cancel = threading.Event()
    with pool.stream(minute, cancel=cancel) as stream:
        next(stream)
        cancel.set()
        with pytest.raises(Cancelled):
            list(stream)


def test_who_waits_for_a_turn_can_be_cancelled(pool: Decoder, minute: Path) -> None:
    newest_child().suspend()
    first, second = threading.Event(), threading.Event()

    def hold() -> None:
        with pytest.raises(Cancelled):
            pool.read(minute, cancel=first)

    holder = threading.Thread(target=hold)
    holder.start()
    second.set()
    with pytest.raises(Cancelled):
        pool.read(minute, cancel=second)
    first.set()
    holder.join()


def test_a_child_that_says_nothing_is_given_up(minute: Path) -> None:
    with Decoder(DecodeLimits(max_wall_s=0.2), workers=1) as pool:
        pool.warm_up()
        newest_child().suspend()
        with pytest.raises(AudioTooLong, match="too long to decode"):
            pool.read(minute)


def test_a_slow_listener_is_not_the_childs_fault(minute: Path) -> None:
    """Nobody waits for the child, so its time does not run: here three times as long as it may be silent."""
    with Decoder(DecodeLimits(max_wall_s=0.2), workers=1) as pool, pool.stream(minute) as stream:
        next(stream)
        threading.Event().wait(0.6)
        assert sum(len(block) for block in stream) > 58 * 24_000


def test_a_child_that_takes_too_much_memory_is_ended_by_its_parent(minute: Path) -> None:
    """Where the system has no limit on the address space, the watchdog sees to it."""

    def listen_slowly(pool: Decoder) -> None:
        pool.warm_up()
        child = newest_child()  # once it decodes, it may be gone before it is looked for
        with pool.stream(minute) as stream:
            psutil.wait_procs([child], timeout=SOON_S)
            list(stream)

    greedy = DecodeLimits(max_memory_bytes=1)  # decoding takes more than a byte
    with Decoder(greedy, workers=1) as pool, pytest.raises(AudioTooLong, match="too much memory"):
        listen_slowly(pool)


def test_closing_ends_all_children(minute: Path) -> None:
    pool = Decoder(workers=2)
    before = set(children())
    pool.warm_up()
    started = set(children()) - before
    assert len(started) == 2
    pool.close()
    assert not set(children()) & started


def test_children_end_with_their_parent() -> None:
    """Also when it is killed and can close nothing."""
    script = (
        "import os, psutil; from chatterbox_plus.audio.decode import Decoder\n"
        "pool = Decoder(workers=1); pool.warm_up()\n"
        "print(psutil.Process().children()[0].pid, flush=True); os._exit(9)"
    )
    reply = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, check=False)
    pid = int(reply.stdout)
    if psutil.pid_exists(pid):
        _, alive = psutil.wait_procs([psutil.Process(pid)], timeout=SOON_S)
        assert not [p for p in alive if p.status() != psutil.STATUS_ZOMBIE]


def test_children_know_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHATTERBOX_WEBHOOK_SECRET", "s3cret")
    with Decoder(workers=1) as pool:
        pool.warm_up()
        assert "s3cret" not in str(newest_child().environ())


@pytest.mark.skipif(sys.platform != "linux", reason="psutil tells the limits of other processes on Linux alone")
def test_children_cannot_write_files_or_take_all_memory(pool: Decoder) -> None:
    child = newest_child()
    assert child.rlimit(psutil.RLIMIT_FSIZE)[0] == 0
    assert 0 < child.rlimit(psutil.RLIMIT_AS)[0] < 2 << 30


def test_a_child_that_cannot_start_is_said_to_be_so(monkeypatch: pytest.MonkeyPatch, minute: Path) -> None:
    monkeypatch.setattr(sys, "executable", os.devnull)
    with Decoder(workers=1) as pool, pytest.raises(PlusError, match="could not be started") as caught:
        pool.read(minute)
    assert caught.value.code == "INTERNAL_ERROR"


def test_systems_without_posix_modules_can_import_and_decode(minute: Path) -> None:
    """As on Windows: no resource, no fcntl, no fork. The child's part runs here in the same process."""
    script = (
        "import sys, psutil\n"  # which brings its own for each system
        "for name in ('resource', 'fcntl', 'pwd', 'grp'): sys.modules[name] = None\n"
        "import os; del os.fork\n"
        "from pathlib import Path\n"
        "from chatterbox_plus.audio import decode, decode_child, encode, resample\n"
        "decode_child._confine(1)\n"
        "decode_child._limit_processor_time(1)\n"
        "print(decode.Decoder(workers=1).read(Path(sys.argv[1])).duration_s)"
    )
    reply = subprocess.run([sys.executable, "-c", script, str(minute)], capture_output=True, text=True, check=False)
    assert (reply.stdout.strip(), reply.stderr) == ("60.0", "")


def test_an_hour_passes_through_in_constant_memory(pool: Decoder, tmp_path: Path) -> None:
    """Neither side holds more than a few blocks, however slowly they are taken."""
    hour = record(tmp_path / "hour.wav", np.zeros(3600 * 8_000, np.float32), rate=8_000)
    child = newest_child()
    pool.read(record(tmp_path / "short.wav", sine(440, 5, 8_000), rate=8_000))
    before = child.memory_info().rss, psutil.Process().memory_info().rss
    with pool.stream(hour, rate=8_000) as stream:
        assert sum(len(block) for block in stream) == 3600 * 8_000
        after = child.memory_info().rss, psutil.Process().memory_info().rss
    assert after[0] - before[0] < 20 << 20
    assert after[1] - before[1] < 20 << 20  # the hour is 115 MB
