"""Libraries of several servers on one store of objects, in one process."""

import os
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from chatterbox_plus.errors import NotFound
from chatterbox_plus.library import changes
from chatterbox_plus.library.library import Library
from chatterbox_plus.library.mirror import Mirror
from chatterbox_plus.library.objects import Objects
from chatterbox_plus.library.store import Store

Open = Callable[[], Objects]


class Server:
    """One of them. Nothing is learnt from the others unless `learn` is called, or a file is asked for."""

    def __init__(self, data: Path, objects: Objects) -> None:
        self.data = data
        self.mirror = Mirror(objects, data / "mirror.sqlite")
        folders = (data / name for name in ("reference_audio", "vc_inputs", "outputs", "temp"))
        self.library = Library(*folders, mirror=self.mirror)

    def learn(self) -> None:
        self.mirror.learn()

    def make(
        self, stem: str, sound: bytes = b"sound", *, folder: str = "", owner: str | None = None, numbered: bool = True
    ) -> dict[str, Path]:
        """An output in two formats, as the studio makes them."""
        outputs = self.library.outputs
        with outputs.reserve(folder, stem, (".wav", ".mp3"), numbered=numbered, owner=owner) as place:
            place.open(".wav").write(sound)
            place.open(".mp3").write(sound[::-1])
            place.write_json({"type": "tts", "files": {"wav": place.name(".wav"), "mp3": place.name(".mp3")}})
            return place.commit()

    def upload(self, file: str, sound: bytes = b"voice", *, overwrite: bool = False, **told: Any) -> Path:
        source = self.data / f"upload {secrets.token_hex(4)}"
        source.write_bytes(sound)
        return changes.save(self.library.voices, source, "", file, lambda old: {**old, **told}, overwrite=overwrite)

    def has(self, store: Store, name: str) -> bytes | None:
        """What is served under that name, None for a 404."""
        with suppress(NotFound):
            return store.exact(name).read_bytes()
        return None


def put_by_hand(path: Path, sound: bytes, *, age_s: float = 60) -> None:
    """As a person copies a file into a folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(sound)
    when = time.time() - age_s
    os.utime(path, (when, when))
