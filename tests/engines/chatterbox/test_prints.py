"""What a model knows of a voice is worked out once, kept, found again, and thrown away when nobody asks for it."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from chatterbox_plus.engines.base import Reference
from chatterbox_plus.engines.chatterbox import prints
from chatterbox_plus.engines.chatterbox.checkpoint import Weights
from chatterbox_plus.engines.chatterbox.flow import FlowPrompt
from chatterbox_plus.engines.chatterbox.model import Model
from chatterbox_plus.engines.chatterbox.prints import PrintStore, VoicePrint, bundled
from chatterbox_plus.engines.chatterbox.t3 import T3Voice
from chatterbox_plus.errors import InvalidAudio, ModelLoadError
from tests.engines.chatterbox import checkpoints
from tests.engines.chatterbox.forced import ForcedEngine
from tests.engines.chatterbox.making import convert, engine_of, passage, reference, speak, voice, whole

CPU = torch.device("cpu")
DAY_S = 86_400


class Heard:
    """A print made of a seed, and how often it was asked for."""

    def __init__(self, seed: int = 1) -> None:
        self.seed, self.times = seed, 0

    def __call__(self) -> VoicePrint:
        self.times += 1
        chance = torch.Generator().manual_seed(self.seed)
        tokens = torch.randint(0, 6561, (20,), generator=chance)
        flow = FlowPrompt(tokens, torch.randn(40, 80, generator=chance), torch.randn(192, generator=chance))
        return VoicePrint(T3Voice(torch.randn(256, generator=chance), tokens.clone()), flow)


def store(root: Path, model: str = "model") -> PrintStore:
    return PrintStore(root, model, CPU)


def numbers(found: VoicePrint) -> list[list[float]]:
    parts = (found.t3.speaker, found.t3.prompt_tokens, found.flow.tokens, found.flow.mel, found.flow.xvector)
    return [part.flatten().tolist() for part in parts]


def files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


# Once


def test_a_print_is_worked_out_once(tmp_path: Path) -> None:
    prints_, heard = store(tmp_path), Heard()
    first = prints_.get("a", heard)
    assert prints_.get("a", heard) is first
    prints_.get("b", heard)
    assert heard.times == 2


def test_a_print_is_found_by_the_next_process(tmp_path: Path) -> None:
    heard = Heard()
    first = store(tmp_path).get("a", heard)
    again = store(tmp_path).get("a", heard)
    assert numbers(again) == numbers(first)
    assert heard.times == 1
    code = (
        "import sys, torch\n"
        "from pathlib import Path\n"
        "from chatterbox_plus.engines.chatterbox.prints import PrintStore\n"
        "found = PrintStore(Path(sys.argv[1]), 'model', torch.device('cpu')).get('a', lambda: sys.exit('not found'))\n"
        "print(found.flow.mel.sum().item())\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    told = subprocess.run([sys.executable, "-c", code, tmp_path], env=environment, capture_output=True, check=True)
    assert float(told.stdout) == pytest.approx(first.flow.mel.sum().item())


def test_another_model_hears_for_itself(tmp_path: Path) -> None:
    one, other = Heard(1), Heard(2)
    store(tmp_path, "one").get("a", one)
    assert numbers(store(tmp_path, "other").get("a", other)) == numbers(other())
    assert numbers(store(tmp_path, "one").get("a", other)) == numbers(one())


def test_memory_holds_a_limited_number_of_voices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prints, "_IN_MEMORY", 3)
    prints_, heard = store(tmp_path), Heard()
    kept = [prints_.get(name, heard) for name in "abcd"]
    assert prints_.get("d", heard) is kept[3]
    assert prints_.get("a", heard) is not kept[0]
    assert heard.times == 4, "from the disk"


# What happens to disks


@pytest.mark.parametrize("part", [0.0, 0.01, 0.5, 0.99])
def test_a_damaged_print_is_worked_out_again(tmp_path: Path, part: float) -> None:
    heard = Heard()
    store(tmp_path).get("a", heard)
    (path,) = files(tmp_path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])
    assert numbers(store(tmp_path).get("a", heard)) == numbers(heard())
    assert heard.times == 3
    store(tmp_path).get("a", heard)
    assert heard.times == 3, "it is whole again"


def test_a_print_of_another_kind_is_worked_out_again(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    heard = Heard()
    (tmp_path / "model").mkdir()
    save_file({"something": torch.zeros(2)}, tmp_path / "model" / "a.safetensors")
    assert numbers(store(tmp_path).get("a", heard)) == numbers(heard())


def test_a_folder_that_cannot_be_written_costs_time_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    prints_, heard = store(tmp_path / "file"), Heard()
    first = prints_.get("a", heard)
    assert prints_.get("a", heard) is first
    store(tmp_path / "file").get("a", heard)
    assert heard.times == 2


def test_a_full_disk_costs_time_and_nothing_else(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    heard, before = Heard(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))  # no file can be longer: a write fails
    try:
        found = store(tmp_path).get("a", heard)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert numbers(found) == numbers(heard())
    assert not files(tmp_path), "nothing half-written is left"


def test_a_print_that_nobody_used_for_a_month_is_gone_whosever_it_was(tmp_path: Path) -> None:
    for model in ("here", "gone"):
        for name in ("old", "new", "used"):
            store(tmp_path, model).get(name, Heard())
    long_ago = time.time() - 31 * DAY_S
    for path in files(tmp_path):
        if path.stem in ("old", "used") or path.parent.name == "gone":
            os.utime(path, (long_ago, long_ago))
    user = PrintStore.__new__(PrintStore)  # a server that has been running for a month
    user._folder, user._device = tmp_path / "here", CPU
    user._load("used")
    store(tmp_path, "here")
    assert {path.relative_to(tmp_path).as_posix() for path in files(tmp_path)} == {
        "here/new.safetensors",
        "here/used.safetensors",
    }
    assert not (tmp_path / "gone").exists()


def test_nothing_but_prints_is_ever_deleted(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").touch()
    os.utime(tmp_path / "other" / "notes.txt", (0, 0))
    store(tmp_path)
    assert len(files(tmp_path)) == 1


# The voice that comes with a model


def test_the_voice_of_a_model_is_read_from_its_conds() -> None:
    voice_ = bundled(Weights(checkpoints.tiny("nano") / "conds.pt"))
    assert voice_.t3.speaker.shape == (256,)
    assert len(voice_.flow.mel) == 2 * len(voice_.flow.tokens) == 100


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda conds: conds["t3"].pop("speaker_emb"), "conds.pt has no t3.speaker_emb"),
        (lambda conds: conds.pop("gen"), "conds.pt has no gen."),
        (lambda conds: conds["gen"].update(embedding=torch.zeros(1, 80)), "conds.pt holds no voice of this model"),
        (lambda conds: conds["gen"].update(prompt_feat=torch.zeros(3)), "conds.pt holds no voice of this model"),
        (lambda conds: conds["gen"].update(prompt_feat=torch.tensor(3.0)), "conds.pt holds no voice of this model"),
        (lambda conds: conds["gen"].update(prompt_token=torch.full((1, 50), 9999)), "conds.pt holds no voice"),
        (lambda conds: conds["t3"].update(speaker_emb=torch.zeros(1, 192)), "conds.pt holds no voice of this model"),
    ],
)
def test_a_voice_that_is_none_is_an_error_that_names_the_file(
    tmp_path: Path, damage: Callable[[dict[str, dict[str, object]]], object], said: str
) -> None:
    conds = torch.load(checkpoints.tiny("nano") / "conds.pt", weights_only=True)
    damage(conds)
    torch.save(conds, tmp_path / "conds.pt")
    with pytest.raises(ModelLoadError, match=said):
        bundled(Weights(tmp_path / "conds.pt"))


# In the engine


@pytest.fixture
def listened(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The lengths of all recordings that are listened to, in seconds."""
    heard: list[float] = []
    listen = Model.listen

    def counted(model: Model, clip: object) -> VoicePrint:
        heard.append(clip.duration_s)  # type: ignore[attr-defined]
        return listen(model, clip)  # type: ignore[arg-type]

    monkeypatch.setattr(Model, "listen", counted)
    return heard


def test_a_recording_is_listened_to_once_for_all_passages_and_conversions(
    tmp_path: Path, listened: list[float]
) -> None:
    engine = engine_of(tmp_path, "nano")
    for text in ("One.", "Two."):
        speak(engine, passage(text), reference())
    whole(convert(engine, iter([voice(90, 1.0)]), 24_000, reference(), 10, 0.1))
    assert len(listened) == 1
    speak(engine, passage("One."), reference(200))
    assert len(listened) == 2


def test_a_print_from_the_disk_gives_the_same_bytes_and_needs_no_listening(
    tmp_path: Path, listened: list[float]
) -> None:
    said = speak(engine_of(tmp_path, "nano"), passage(), reference())
    shutil.rmtree(tmp_path / "models")  # the shelf, not the model
    again = speak(engine_of(tmp_path, "nano"), passage(), reference())
    np.testing.assert_array_equal(again.clip.samples, said.clip.samples)
    assert len(listened) == 1


def test_a_recording_that_taught_nothing_leaves_nothing(tmp_path: Path) -> None:
    engine = engine_of(tmp_path, "nano")
    silent = Reference("silent", reference().clip.__class__(np.zeros(24_000, np.float32), 24_000))
    with pytest.raises(InvalidAudio):
        speak(engine, passage(), silent)
    assert not files(tmp_path / "prints")


def test_prints_are_kept_apart_by_what_the_model_is(tmp_path: Path) -> None:
    for variant in ("english", "nano"):
        engine = engine_of(tmp_path / variant, variant)
        assert isinstance(engine, ForcedEngine)
        engine._prints.get("a", Heard())
        (path,) = files(tmp_path / variant / "prints")
        assert engine.info.revision == f"{path.parent.name}-auto"  # a voice is heard alike at any precision
