"""Recordings to upload, and files laid into a library by hand."""

import io
import json
import wave
from pathlib import Path
from typing import Any

import numpy as np

from chatterbox_plus.library.store import Store

RATE = 8000  # Hz


def tone(seconds: float = 0.5, f0_hz: float = 220.0) -> bytes:
    """A wav file: mono, 16 bits, 8 kHz."""
    samples = np.sin(2 * np.pi * f0_hz * np.arange(int(seconds * RATE)) / RATE) * 8000
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.astype("<i2").tobytes())
    return buffer.getvalue()


def lay(store: Store, at: str, content: bytes | None = None, **sidecar: Any) -> Path:
    """A file with what is known of it, as somebody may have put it there."""
    path = store.root / at
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(tone() if content is None else content)
    if sidecar:
        store.sidecar(path).write_text(json.dumps(sidecar), encoding="utf-8")
    return path


def clear(store: Store) -> None:
    """Removes every file, and all folders but the root."""
    for path in sorted(store.root.rglob("*"), key=lambda path: -len(path.parts)):
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()


def files(store: Store) -> list[str]:
    """Every file, sidecars and hidden ones too."""
    return sorted(path.relative_to(store.root).as_posix() for path in store.root.rglob("*") if path.is_file())
