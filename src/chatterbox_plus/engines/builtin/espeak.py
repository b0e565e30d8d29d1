"""espeak-ng through ctypes, loaded afresh for every utterance.

espeak-ng keeps state from one call to the next (the same text twice gives different samples and lengths), and no call
resets it. So the library is unloaded and loaded again before each utterance, which takes about 4 ms; what it says then
depends on nothing but text and voice. GPL: import this module in a child process only.
"""

import ctypes
import os
import shutil
import sys
import tempfile
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import espeakng_loader
import numpy as np
from numpy.typing import NDArray

from chatterbox_plus.audio.clip import Samples
from chatterbox_plus.errors import Cancelled, GenerationError, ModelLoadError

RATE = 22_050  # Hz, of all of espeak-ng's formant voices

# From speak_lib.h of espeak-ng 1.52.
_SYNCHRONOUS, _DONT_EXIT, _CHARS_UTF8, _POS_CHARACTER, _VOLUME = 2, 0x8000, 1, 1, 2
_EVENT_LIST_TERMINATED, _EVENT_WORD = 0, 1

# espeak-ng copies the path of its data into a buffer of 160 bytes and adds file names of its own to it.
_LONGEST_PATH = 100  # bytes

_LOUDNESS = 60  # per cent of its usual amplitude: at 100 some variants clip inside the library
_NOISE_SEED = 1  # it starts from the time of day
_ASK_EVERY_S = 0.1

# Greenlandic numerals with a 0 or an 8 crash espeak-ng 1.52 (its phoneme table lacks what the dictionary asks for).
_GREENLANDIC_DIGITS = {"0": " nuulu ", "8": " arfineq pingasut "}


class _EventId(ctypes.Union):
    _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8)]


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _EventId),
    ]


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


@dataclass(frozen=True)
class WordEvent:
    """espeak-ng's word on where in the sound a stretch of the text begins; several may tell of the same stretch."""

    sample: int
    char_start: int
    char_end: int


@dataclass(frozen=True, eq=False)
class Utterance:
    """samples: float32 (n,) at RATE, with espeak-ng's own silences; events: in the order of the sound."""

    samples: Samples
    events: tuple[WordEvent, ...]


class Espeak:
    """The library and its data, found and ready. Not thread-safe: one utterance at a time in one process."""

    def __init__(self, library: Path | None = None, data: Path | None = None) -> None:
        """Raises ModelLoadError where there is no library or data that can be used."""
        self._library = library or Path(espeakng_loader.get_library_path())
        self._folder: Path | None = None
        self._copies = 0
        data = data or Path(espeakng_loader.get_data_path())
        if not self._library.is_file() or not (data / "phontab").is_file():
            raise ModelLoadError("espeak-ng is not installed completely: install the package espeakng-loader again")
        self._data = os.fsencode(data if _can_be_passed(data) else self._near(data))

    def say(self, text: str, voice: str, cancelled: Callable[[], bool] = lambda: False) -> Utterance:
        """Speak text as plain characters: neither SSML nor phoneme brackets mean anything.

        voice: a file of espeak-ng's lang folder, perhaps with a variant: "gmw/en-US+f3".
        Raises GenerationError for a voice that does not load, Cancelled.
        """
        blocks: list[NDArray[np.int16]] = []
        events: list[tuple[int, int, int]] = []
        stopped, asked = False, time.monotonic()
        said, origin = _sayable(text, voice)

        def take(samples: Any, count: int, event: Any) -> int:
            nonlocal stopped, asked
            if count > 0:
                blocks.append(np.ctypeslib.as_array(samples, (count,)).copy())
            i = 0
            while event[i].type != _EVENT_LIST_TERMINATED:
                if event[i].type == _EVENT_WORD:
                    start = max(event[i].text_position - 1, 0)
                    events.append((event[i].sample, start, start + event[i].length))
                i += 1
            if time.monotonic() - asked > _ASK_EVERY_S:
                stopped, asked = cancelled(), time.monotonic()
            return int(stopped)

        callback = _Callback(take)
        library = self._load()
        try:
            library.espeak_SetSynthCallback(callback)
            library.espeak_SetParameter(_VOLUME, _LOUDNESS, 0)
            if library.espeak_SetVoiceByName(voice.encode()) != 0:
                raise GenerationError("espeak-ng does not know this voice")
            # Its own generator makes the noise of breath; the C library's that of the variants called klatt6.
            library.espeak_ng_SetRandSeed(ctypes.c_long(_NOISE_SEED))
            _c_library().srand(ctypes.c_uint(_NOISE_SEED))
            data = said.encode("utf-8", "replace") + b"\0"
            flags = _CHARS_UTF8
            if library.espeak_Synth(data, ctypes.c_size_t(len(data)), 0, _POS_CHARACTER, 0, flags, None, None) != 0:
                raise GenerationError("espeak-ng could not say this text")
        finally:
            library.espeak_Terminate()
            _unload(library)
        if stopped:
            raise Cancelled("speech was called off")
        samples = np.concatenate(blocks) if blocks else np.zeros(0, np.int16)
        last = len(origin) - 1
        placed = [WordEvent(at, origin[min(start, last)], origin[min(end, last)]) for at, start, end in events]
        return Utterance(samples.astype(np.float32) / np.float32(32768), tuple(placed))

    def _load(self) -> ctypes.CDLL:
        library = _open(self._library)
        if library.espeak_ng_GetSampleRate() != 0:
            # It remembers: some systems keep a library that was closed. A copy under a name of its own is another one.
            self._copies += 1
            copy = self._temporary() / f"{self._copies}{self._library.suffix}"
            shutil.copyfile(self._library, copy)
            library = _open(copy)
        if library.espeak_Initialize(_SYNCHRONOUS, 0, self._data, _DONT_EXIT) != RATE:
            _unload(library)
            raise ModelLoadError("espeak-ng cannot read its data: install the package espeakng-loader again")
        return library

    def _temporary(self) -> Path:
        """A folder that is removed when this object is, or the process ends."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="espeak"))
            weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        return self._folder

    def _near(self, data: Path) -> Path:
        """The data under a path short and plain enough for espeak-ng."""
        near = self._temporary() / "data"
        if not _can_be_passed(near):
            raise ModelLoadError("the paths of espeak-ng's data and of the temporary folder are both too long for it")
        if sys.platform == "win32":  # links need a privilege there, junctions do not
            import _winapi

            _winapi.CreateJunction(str(data), str(near))
        else:
            near.symlink_to(data.resolve(), target_is_directory=True)
        return near


def _can_be_passed(path: Path) -> bool:
    name = os.fsencode(path)
    return len(name) <= _LONGEST_PATH and (sys.platform != "win32" or name.isascii())  # it opens files by ANSI names


def _sayable(text: str, voice: str) -> tuple[str, list[int]]:
    """Text that is safe to hand over, and for each of its characters (and the end) where it stood in `text`."""
    words = _GREENLANDIC_DIGITS if voice.startswith("esx/kl") else {}
    said, origin = "", []
    for i, char in enumerate(text):
        # A control character would be a command to espeak-ng: 1 means "embedded command follows".
        new = " " if ord(char) < 32 or 127 <= ord(char) < 160 else words.get(char, char)
        said += new
        origin += [i] * len(new)
    return said, [*origin, len(text)]


def _open(path: Path) -> ctypes.CDLL:
    try:
        return ctypes.CDLL(str(path))
    except OSError as error:
        raise ModelLoadError("espeak-ng's library does not load on this system") from error


def _unload(library: ctypes.CDLL) -> None:
    import _ctypes  # ctypes has no public way to close a library

    if sys.platform == "win32":
        _ctypes.FreeLibrary(library._handle)
    else:
        _ctypes.dlclose(library._handle)


def _c_library() -> ctypes.CDLL:
    return ctypes.CDLL("ucrtbase" if sys.platform == "win32" else None)
