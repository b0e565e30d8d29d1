"""Hearing it at once, through whichever player this machine has."""

import os
import shutil
import subprocess
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import IO

from chatterbox_plus.audio.clip import Samples
from chatterbox_plus.audio.encode import Encoder
from chatterbox_plus.errors import Cancelled, GenerationError, NotFound

_FILE = "FILE"
_POLL_S = 0.05  # how soon a player that has ended is noticed
_LISTENING = (  # these take the sound through a pipe, so that it is heard while it is made
    ("ffplay", "-nodisp", "-autoexit", "-loglevel", "error", "-f", "wav", "-i", "pipe:0"),
    ("mpv", "--no-video", "--really-quiet", "-"),
)
_READING = (  # these want a finished file
    ("pw-play", _FILE),
    ("paplay", _FILE),
    ("aplay", "-q", _FILE),
    ("afplay", _FILE),
    ("play", "-q", _FILE),
    ("powershell", "-NoProfile", "-Command", "(New-Object Media.SoundPlayer $env:CHATTERBOX_SOUND).PlaySync()"),
)


@dataclass(frozen=True)
class Player:
    """command: with FILE for the file's path. listens: whether it reads a pipe."""

    command: tuple[str, ...]
    listens: bool


def find_player() -> Player:
    """The first player found. Raises NotFound, before any work is done for it."""
    for known, listens in ((_LISTENING, True), (_READING, False)):
        for name, *rest in known:
            if found := shutil.which(name):
                return Player((found, *rest), listens)
    names = ", ".join(command[0] for command in (*_LISTENING, *_READING))
    raise NotFound(f"no player found to play it with; any of these would do: {names}")


class PlayerSink:
    """Samples to somebody's ears. `finish` returns when all of it has been heard."""

    def __init__(self, player: Player, cancel: Event, rate: int, channels: int) -> None:
        """cancel: stops the playing too. rate: Hz."""
        self._player, self._cancel = player, cancel
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._file: IO[bytes]
        if player.listens:
            self._process = subprocess.Popen(player.command, stdin=subprocess.PIPE)
            assert self._process.stdin is not None
            self._file = self._process.stdin
            self._encoder = Encoder("wav", rate=rate, channels=channels)
        else:
            self._folder = tempfile.TemporaryDirectory(prefix="chatterbox-plus-")
            self._path = Path(self._folder.name) / "sound.wav"
            self._file = sound = self._path.open("xb")
            self._encoder = Encoder("wav", rate=rate, channels=channels, sink=sound)

    def push(self, samples: Samples) -> None:
        self._write(self._encoder.push(samples))

    def finish(self) -> None:
        self._write(self._encoder.finish())
        self._close()
        if self._process is None:
            command = [str(self._path) if word == _FILE else word for word in self._player.command]
            environment = {**os.environ, "CHATTERBOX_SOUND": str(self._path)}
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, env=environment)
        while (status := self._process.poll()) is None:
            if self._cancel.wait(_POLL_S):
                raise Cancelled("the playing was called off")
        self._clean()
        if status:
            raise self._failed()

    def place(self) -> None: ...

    def abandon(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait()
        with suppress(OSError):  # what the pipe still held has no reader any more
            self._file.close()
        self._clean()

    def _write(self, data: bytes) -> None:
        try:
            self._file.write(data)
        except OSError:  # it closed its end: it gave up, or the listener closed it
            raise self._failed() from None

    def _close(self) -> None:
        try:
            self._file.close()
        except OSError:
            raise self._failed() from None

    def _clean(self) -> None:
        if self._folder is not None:
            self._folder.cleanup()

    def _failed(self) -> GenerationError:
        return GenerationError(f"{Path(self._player.command[0]).stem} could not play it")
