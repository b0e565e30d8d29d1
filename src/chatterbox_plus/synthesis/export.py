"""One generation written in several formats at once, with its sidecar: all of it appears, or nothing."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from chatterbox_plus.audio.clip import Samples
from chatterbox_plus.audio.encode import Encoder
from chatterbox_plus.audio.formats import FORMATS
from chatterbox_plus.library.library import output_url
from chatterbox_plus.library.store import Store
from chatterbox_plus.library.writing import Reservation

SPEECH_MP3_BIT_RATE = 320_000  # bit/s, as the original exports speech; joins keep the format table's own
UNCUT = "_uncut.wav"  # beside the cut audio when `keep_original_wav_ae` asks for it


@dataclass(frozen=True)
class Sound:
    """What the blocks of a job are. rate: Hz. mp3_bit_rate: bit/s, None = the format's own, as all others have."""

    rate: int
    channels: int = 1
    mp3_bit_rate: int | None = None

    def encoder(self, format: str, sink: BinaryIO | None = None) -> Encoder:
        """An encoder of such blocks to one of FORMATS; see `Encoder`."""
        bit_rate = self.mp3_bit_rate if format == "mp3" else None
        return Encoder(format, rate=self.rate, channels=self.channels, sink=sink, bit_rate=bit_rate)


@dataclass(frozen=True)
class MadeFile:
    """A file that is now in outputs/."""

    format: str
    path: str  # below the outputs of whoever asked, forward slashes
    size_bytes: int
    prefix: str = ""  # where those lie below outputs/: "team/"

    @property
    def filename(self) -> str:
        return self.path.rsplit("/", 1)[-1]

    @property
    def stored_at(self) -> str:
        """Below outputs/, forward slashes."""
        return self.prefix + self.path

    @property
    def url(self) -> str:
        """Root-relative, ASCII, with neither ':' nor '|' in it."""
        return output_url(self.stored_at)

    def link(self) -> dict[str, Any]:
        """As replies show it; the path is relative to the data folder."""
        return {
            "format": self.format,
            "filename": self.filename,
            "url": self.url,
            "path": f"outputs/{self.stored_at}",
            "file_size_bytes": self.size_bytes,
        }


class Export:
    """Blocks of samples to files. Use it inside the reservation's `with`: what is not committed goes."""

    def __init__(
        self,
        store: Store,
        reservation: Reservation,
        formats: Sequence[str],
        sound: Sound,
    ) -> None:
        self._store, self._reservation, self._rate = store, reservation, sound.rate
        self._samples = 0
        self._files = {name: reservation.open(FORMATS[name].suffix) for name in formats}
        self._encoders = {name: sound.encoder(name, file) for name, file in self._files.items()}

    @property
    def duration_s(self) -> float:
        """Seconds pushed so far."""
        return self._samples / self._rate

    @property
    def names(self) -> dict[str, str]:
        """Format -> file name, as the sidecar lists them."""
        return {name: self._reservation.name(FORMATS[name].suffix) for name in self._encoders}

    def push(self, block: Samples) -> None:
        self._samples += block.shape[-1]
        for encoder in self._encoders.values():
            encoder.push(block)

    def finish(self) -> None:
        """The audio is whole; the sidecar may be written now, and then `commit`."""
        for encoder in self._encoders.values():
            encoder.finish()

    def commit(self, sidecar: dict[str, Any]) -> tuple[MadeFile, ...]:
        """Puts audio and sidecar in their places. Raises StorageFull; then nothing stays."""
        self._reservation.write_json(sidecar)
        sizes = {name: file.seek(0, os.SEEK_END) for name, file in self._files.items()}  # afterwards it may be gone
        placed = self._reservation.commit()
        return tuple(
            MadeFile(name, self._store.relative(placed[FORMATS[name].suffix]), size, self._store.prefix)
            for name, size in sizes.items()
        )


def suffixes(formats: Sequence[str], *, uncut: bool = False) -> tuple[str, ...]:
    """What to reserve for these formats."""
    return (*(FORMATS[name].suffix for name in formats), *((UNCUT,) if uncut else ()))
