"""Running the command as a person would: a process of its own, with a data folder of its own."""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from chatterbox_plus.audio.clip import Clip
from chatterbox_plus.audio.decode import Decoder
from chatterbox_plus.audio.encode import Encoder

COMMAND = [sys.executable, "-m", "chatterbox_plus"]


def environment(**variables: str) -> dict[str, str]:
    """This process's, without any CHATTERBOX_ variable, and with these."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("CHATTERBOX_")}
    return {**kept, "PYTHONIOENCODING": "utf-8", **variables}


@dataclass(frozen=True)
class Shell:
    """A working directory and a data folder, between which commands are run."""

    cwd: Path
    data: Path

    def __call__(
        self, *words: str, stdin: bytes = b"", env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [*COMMAND, *words], cwd=self.cwd, env=env or self.env(), input=stdin, capture_output=True, timeout=60
        )

    def env(self, **variables: str) -> dict[str, str]:
        return environment(CHATTERBOX_DATA_DIR=str(self.data), **variables)

    def names(self) -> list[str]:
        """What lies in the working directory."""
        return sorted(path.name for path in self.cwd.iterdir())


def tone(path: Path, seconds: float, hz: float = 440.0, rate: int = 24_000) -> Path:
    """A sine at half scale, as a file of the format its suffix names."""
    samples = (0.5 * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)
    with path.open("wb") as file:
        encoder = Encoder(path.suffix[1:], rate=rate, sink=file)
        encoder.push(samples)
        encoder.finish()
    return path


def heard(paths: Sequence[Path]) -> list[Clip]:
    """The files, decoded."""
    decoder = Decoder()
    try:
        return [decoder.read(path) for path in paths]
    finally:
        decoder.close()
