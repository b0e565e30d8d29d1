"""A server with tiny models installed, whose engine knows when to stop: random weights do not."""

import io
import os
import shutil
import time
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests

from chatterbox_plus.models.shelf import Shelf
from chatterbox_plus.settings import Settings
from tests.api.live_server import LiveServer, serve
from tests.engines.chatterbox.checkpoints import tiny
from tests.engines.chatterbox.forced import FACTORY
from tests.engines.chatterbox.making import voice

PATIENCE_S = 120  # a test that needs longer has failed
MODELS = ("nano", "turbo", "english", "multilingual")
ADDED = "mine"
"""A folder of somebody's own: the multilingual model, version 3."""
SPARE = "spare"
"""The same once more, which nothing loads."""
TTS, VC, OPENAI = "/api/v1/tts", "/api/v1/vc", "/v1/audio/speech"


def furnish(data: Path) -> Shelf:
    """The models on the shelf of a data folder; voices of six seconds and of one, and a recording to convert."""
    shelf = Shelf(data / "models")
    for name in MODELS:
        shutil.copytree(tiny(name), shelf.folder / name, copy_function=os.link)
    theirs = shutil.copytree(tiny("multilingual-v3"), data.parent / "pack", copy_function=os.link)
    for name in (ADDED, SPARE):
        shelf.add(name, theirs)
    for path, seconds in (("reference_audio/anna", 6.0), ("reference_audio/short", 1.0), ("vc_inputs/talk", 2.0)):
        (data / path).parent.mkdir(parents=True, exist_ok=True)
        (data / f"{path}.wav").write_bytes(recording(seconds))
    return shelf


def recording(seconds: float, pitch: float = 120.0) -> bytes:
    """Something like speech, as a wav file of 24 kHz."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setparams((1, 2, 24_000, 0, "NONE", ""))
        file.writeframes((voice(pitch, seconds) * 32_767).clip(-32_768, 32_767).astype(np.int16).tobytes())
    return buffer.getvalue()


@dataclass(frozen=True)
class NeuralHouse:
    server: LiveServer
    data: Path
    shelf: Shelf

    def say(self, text: str, query: str = "?response_mode=url", **fields: Any) -> requests.Response:
        body = {"text": text, "export_formats": ["wav"], **fields}
        return requests.post(self.server.url + TTS + query, json=body, timeout=PATIENCE_S)

    def said(self, text: str, **fields: Any) -> dict[str, Any]:
        return told(self.say(text, **fields))

    def sound(self, text: str, **fields: Any) -> bytes:
        """The finished wav."""
        reply = self.say(text, query="", **fields)
        assert reply.status_code == 200, reply.text
        return reply.content

    def file(self, reply: dict[str, Any]) -> bytes:
        """The first file that a reply links to."""
        return self.server.get(reply["output_files"][0]["url"]).content

    def sidecar(self, reply: dict[str, Any]) -> dict[str, Any]:
        name = reply["output_files"][0]["path"].removeprefix("outputs/")
        return told(self.server.get(f"/api/v1/outputs/{name}/metadata"))

    def ended(self, reply: requests.Response) -> dict[str, Any]:
        """A task when it is over, which it must be well."""
        id = told(reply, 202)["task_id"]

        def look() -> dict[str, Any] | None:
            task = told(self.server.get(f"/api/v1/tasks/{id}"))
            assert task["success"] is not False, task
            return task if task["success"] else None

        return dict(self.until(look))

    def model(self, name: str) -> dict[str, Any]:
        return told(self.server.get(f"/api/v1/models/{name}"))

    def until(self, look: Any) -> Any:
        """What it gives as soon as it gives anything."""
        deadline = time.monotonic() + PATIENCE_S
        while not (found := look()):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        return found


def told(reply: requests.Response, status: int = 200) -> dict[str, Any]:
    assert reply.status_code == status, reply.text
    return dict(reply.json())


@contextmanager
def neural_house(folder: Path, **sections: Any) -> Iterator[NeuralHouse]:
    """sections: of the settings, as in config.yaml."""
    data = folder / "data"
    shelf = furnish(data)
    settings = Settings.model_validate({"models": {"device": "cpu"}, **sections, "paths": {"data_dir": data}})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("chatterbox_plus.engines.neural.FACTORY", FACTORY)
        patch.setenv("HF_HUB_CACHE", str(folder / "hub"))
        with serve(settings) as running:
            yield NeuralHouse(running, data, shelf)
