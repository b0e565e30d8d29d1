"""POST /api/v1/warmup: a model is loaded before anybody needs it, and what keeps it from being loaded is said."""

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from chatterbox_plus.models.shelf import Shelf
from chatterbox_plus.settings import Paths, Settings
from tests.api.live_server import LiveServer, serve
from tests.e2e.neural_house import recording
from tests.engines.chatterbox.checkpoints import tiny

WARMUP = "/api/v1/warmup"
FILE, KEY = "s3gen_meanflow.safetensors", "flow.encoder_proj.weight"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """Without any official model; `hollow` is one of whose files a weight is missing."""
    data = tmp_path_factory.mktemp("warmup") / "data"
    hollow = shutil.copytree(tiny("nano"), data.parent / "hollow", copy_function=os.link)
    weights = load_file(hollow / FILE)
    (hollow / FILE).unlink()
    save_file({key: value for key, value in weights.items() if key != KEY}, hollow / FILE)
    Shelf(data / "models").add("hollow", hollow)
    settings = Settings.model_validate({"models": {"device": "cpu"}, "paths": Paths(data_dir=data)})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_CACHE", str(data / "hub"))
        with serve(settings) as running:
            yield running


@pytest.mark.parametrize(
    ("body", "tasks"),
    [
        (None, ["tts", "vc"]),
        ({}, ["tts", "vc"]),
        ({"model": "auto", "tasks": ["tts"]}, ["tts"]),
        ({"model": "builtin", "tasks": "VC"}, ["vc"]),
    ],
)
def test_what_auto_means_is_loaded(server: LiveServer, body: Any, tasks: list[str]) -> None:
    reply = server.post(WARMUP, body)
    assert reply.status_code == 200, reply.text
    told = reply.json()
    assert (told["success"], told["model"], told["tasks"]) == (True, "builtin", tasks)
    assert told["models_loaded"] == {"tts": "tts" in tasks, "vc": "vc" in tasks}
    assert told["seconds"] >= 0


@pytest.mark.parametrize(
    ("body", "status", "code", "words"),
    [
        ({"tasks": ["sing"]}, 422, "VALIDATION_ERROR", ["'sing'", "tts, vc"]),
        ({"tasks": []}, 422, "VALIDATION_ERROR", []),
        ({"tasks": [1]}, 422, "VALIDATION_ERROR", []),
        ({"model": "whatever"}, 422, "VALIDATION_ERROR", ["no model of that name", "hollow"]),
        ({"model": "nano"}, 409, "MODEL_NOT_INSTALLED", ["chatterbox-plus models pull nano"]),
        ({"model": "hollow"}, 503, "MODEL_LOAD_ERROR", [FILE, KEY]),
    ],
)
def test_what_cannot_be_loaded_is_said(server: LiveServer, body: Any, status: int, code: str, words: list[str]) -> None:
    reply = server.post(WARMUP, body)
    assert (reply.status_code, reply.json()["error_code"]) == (status, code), reply.text
    assert all(word in reply.json()["error"] for word in words), reply.text
    assert "/" not in reply.json()["error"], "where the server has its files is nobody's business"


def test_a_request_is_told_what_is_wrong_with_the_model_too(server: LiveServer) -> None:
    files = {"input_audio": ("talk.wav", recording(1.0)), "target_voice": ("friend.wav", recording(6.0))}
    reply = server.ask("POST", "/api/v1/vc", files=files, data={"model": "hollow"})
    assert (reply.status_code, reply.json()["error_code"]) == (503, "MODEL_LOAD_ERROR"), reply.text
    assert KEY in reply.json()["error"]
    assert server.post("/api/v1/tts", {"text": "Hello."}).status_code == 200, "others speak as before"
