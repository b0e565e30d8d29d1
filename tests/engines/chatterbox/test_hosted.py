"""Every model the way a user's request takes: from the shelf, through a host, in a process of its own."""

import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from pathlib import Path

import numpy as np
import pytest

from chatterbox_plus.audio.clip import Samples
from chatterbox_plus.engines.base import Passage
from chatterbox_plus.engines.host import EngineHost
from chatterbox_plus.errors import Cancelled
from tests.engines.chatterbox import checkpoints, making
from tests.engines.chatterbox.making import (
    PATIENCE_S,
    RATE,
    cut,
    engine_in,
    hosting,
    passage,
    reference,
    say,
    shelved,
    speak,
    voice,
    whole,
)


def convert(host: EngineHost, recording: Samples) -> Samples:
    blocks = cut(recording, 4800)
    return whole(host.convert(blocks, RATE, reference(), 2, 0.1, cancel=threading.Event(), timeout_s=PATIENCE_S))


def pack(root: Path) -> Path:
    """A folder like those of the models for one language: the multilingual files, its T3 under a name of its own."""
    folder = Path(shutil.copytree(checkpoints.tiny("multilingual"), root / "pack"))
    (folder / "t3_mtl23ls_v2.safetensors").rename(folder / "t3_pt_br.safetensors")
    return folder


@pytest.mark.parametrize("name", ["english", "multilingual", "multilingual-v3", "turbo", "nano", "brasil"])
def test_every_model_speaks_clones_and_converts_the_same_in_every_process(tmp_path: Path, name: str) -> None:
    model = shelved(tmp_path, name, pack(tmp_path) if name == "brasil" else None)
    text, language = ("Olá, meu velho amigo.", "pt") if name == "brasil" else ("Hello there, old friend.", "en")
    what, recording = Passage(0, text, language, seed=3), voice(90, 1.0)
    with hosting(model, tmp_path) as host:
        assert language in host.info.languages
        cloned = say(host, what, reference())
        converted = convert(host, recording)
        own = say(host, what)
    assert min(len(own), len(cloned)) > RATE // 10
    assert len(converted) == RATE
    assert own.any()
    assert converted.any()
    assert not np.array_equal(cloned, own)
    engine = engine_in(tmp_path, model)  # another process: this one
    np.testing.assert_array_equal(speak(engine, what).clip.samples, own)
    np.testing.assert_array_equal(speak(engine, what, reference()).clip.samples, cloned)
    np.testing.assert_array_equal(whole(making.convert(engine, [recording], RATE, reference(), 2, 0.1)), converted)


def test_nano_in_its_full_size_speaks_clones_and_converts(tmp_path: Path) -> None:
    with hosting(shelved(tmp_path, "nano", checkpoints.full_nano()), tmp_path) as host:
        assert say(host, passage("Yes.")).any()
        assert say(host, passage("Yes."), reference(seconds=1.0)).any()
        assert convert(host, voice(90, 0.5)).any()


def test_what_is_called_off_ends_within_a_second_and_the_model_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chatterbox_plus.engines.host.GRACE_S", PATIENCE_S)  # the deaf are not killed

    def free_within_s(cancel: threading.Event) -> float:
        began = time.monotonic()
        cancel.set()
        while host.health().busy:
            time.sleep(0.01)
        return time.monotonic() - began

    with hosting(shelved(tmp_path, "nano"), tmp_path) as host, ThreadPoolExecutor(1) as caller:
        before = say(host, passage("pid"))[0]
        say(host, passage(), reference())  # all of it is loaded
        cancel = threading.Event()
        speech = host.speak([passage("endless " * 40)], None, cancel=cancel, timeout_s=PATIENCE_S)
        spoken = caller.submit(next, speech)
        time.sleep(0.3)
        assert free_within_s(cancel) < 1
        with pytest.raises(Cancelled):
            spoken.result()
        cancel = threading.Event()
        seconds = repeat(voice(90, 1.0))
        converted = host.convert(seconds, RATE, reference(), 1.0, 0.1, cancel=cancel, timeout_s=PATIENCE_S)
        next(converted)
        waiting = caller.submit(whole, converted)
        assert free_within_s(cancel) < 1
        with pytest.raises(Cancelled):
            waiting.result()
        assert say(host, passage("pid"))[0] == before
        assert host.health().restarts == 0
