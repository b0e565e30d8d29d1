"""Whose voice a name means, and what of it an engine needs."""

import copy
import hashlib
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any

from chatterbox_plus.audio.decode import Decoder
from chatterbox_plus.audio.quality import check_length
from chatterbox_plus.engines.base import EngineInfo, Reference
from chatterbox_plus.errors import NotFound
from chatterbox_plus.library.library import Library
from chatterbox_plus.library.records import Voice

OPENAI_VOICES = {
    "alloy": ("f2", "female"),
    "ash": ("m3", "male"),
    "ballad": ("ed", "male"),
    "coral": ("linda", "female"),
    "echo": ("Mike", "male"),
    "fable": ("pablo", "male"),
    "onyx": ("announcer", "male"),
    "nova": ("Annie", "female"),
    "sage": ("f3", "female"),
    "shimmer": ("Alicia", "female"),
    "verse": ("Nguyen", "male"),
    "marin": ("f4", "female"),
    "cedar": ("m8", "male"),
}
"""The names OpenAI's clients know -> (variant of the built-in engine, gender).

Any two are more than a semitone and 2 dB of long-term spectrum apart, or much more in one of them. A file of the same
name in reference_audio/ comes first, so anybody can put their own voice behind `alloy`.
"""

REFERENCE_RATE = 24_000  # Hz
REFERENCE_MAX_S = 120.0  # the models listen to 6-15 s; a person's median pitch can take a minute to settle
_KEPT_BYTES = 128 * 2**20  # decoded references in memory: at least a dozen of the longest


@dataclass(frozen=True)
class Speaker:
    """Somebody who can speak: a stored recording or a stock voice of the engine."""

    name: str  # as asked for; "default" when nobody was
    recording: Voice | None = None
    stock: str | None = None
    language: str | None = None  # what the voice itself speaks
    defaults: dict[str, Any] = field(default_factory=dict)  # its stored default_parameters


@dataclass(frozen=True)
class VoiceInfo:
    """A voice in a list."""

    id: str
    name: str
    kind: str  # "file", "alias" or "stock"
    language: str | None = None
    gender: str | None = None


class Voices:
    """Finds speakers and keeps the decoded recordings that are in use. Thread-safe."""

    def __init__(self, library: Library, decoder: Decoder) -> None:
        self._library = library
        self._decoder = decoder
        self._lock = threading.Lock()
        self._decoded: OrderedDict[tuple[str, int, int], Reference] = OrderedDict()
        self._listed: tuple[EngineInfo, tuple[VoiceInfo, ...]] | None = None

    def within(self, library: Library) -> "Voices":
        """The same voices, and the inputs of another view of the library."""
        view = copy.copy(self)
        view._library = library
        return view

    def stored(self, name: str | None) -> Speaker | None:
        """The speaker a request means, if it is nobody in particular or somebody whose recording is here; else None.

        Raises Ambiguous for a bare name that several files share; PermissionDenied for a name that leads out.
        """
        wanted = (name or "").strip()
        if wanted.lower() in ("", "default"):
            return Speaker("default")
        try:
            recording = self.recording(wanted)
        except NotFound:
            return None
        return Speaker(wanted, recording=recording, defaults=dict(recording.default_parameters))

    def stock(self, name: str, language: str | None, info: EngineInfo) -> Speaker:
        """The speaker a request means among an engine's own voices; the names OpenAI's clients know are voices of every
        engine that can speak without a recording. Raises NotFound.
        """
        wanted = name.strip()
        known = OPENAI_VOICES.get(wanted.lower())
        stock = info.resolve_stock(known[0] if known else wanted, language)
        if stock is not None:
            return Speaker(wanted, stock=stock.name, language=stock.language)
        if known and info.default_voice:
            return Speaker(wanted)
        raise NotFound(f"voice not found: {wanted}", param="reference_audio_filename")

    def recording(self, name: str) -> Voice:
        """The stored voice of that name. Raises as `find` does."""
        return self._library.voice(name)

    def stored_input(self, name: str) -> Path:
        """The conversion input of that name. Raises as `find` does."""
        return self._library.inputs.resolve(name)

    def reference(self, recording: Path, name: str, cancel: Event) -> Reference:
        """The recording as an engine takes it: mono, 24 kHz, its first two minutes. name: as the client knows it.

        Raises InvalidAudio when it cannot be decoded or is under 0.3 s, NotFound when it has gone this moment.
        """
        try:
            stat = recording.stat()
        except FileNotFoundError:
            raise NotFound(f"voice not found: {name}") from None
        key = (str(recording), stat.st_mtime_ns, stat.st_size)
        with self._lock:
            if key in self._decoded:
                self._decoded.move_to_end(key)
                return self._decoded[key]
        clip = self._decoder.read(
            recording, rate=REFERENCE_RATE, channels=1, max_s=REFERENCE_MAX_S, cancel=cancel, name=name
        )
        check_length(clip.duration_s, f"the voice {name}")
        digest = hashlib.blake2b(clip.samples.tobytes(), digest_size=16, person=b"reference").hexdigest()
        reference = Reference(digest, clip)
        with self._lock:
            self._decoded[key] = reference
            while len(self._decoded) > 1 and sum(r.clip.samples.nbytes for r in self._decoded.values()) > _KEPT_BYTES:
                self._decoded.popitem(last=False)
        return reference

    def list(self, info: EngineInfo, language: str | None = None) -> list[VoiceInfo]:
        """Stored voices, then the thirteen names OpenAI's clients know, then the engine's own.

        language: only the engine's own of it.
        """
        files = [VoiceInfo(path, path, "file") for path in self._library.voices.files()]
        wanted = (info.find_language(language) or language.lower()) if language else None
        stock = (v for v in self._stock(info) if wanted is None or (v.language or "").lower() == wanted)
        return [*files, *_ALIASES, *stock]

    def _stock(self, info: EngineInfo) -> tuple[VoiceInfo, ...]:
        """Made once for each engine: there are hundreds."""
        known = self._listed
        if known is None or known[0] is not info:
            voices = tuple(VoiceInfo(v.name, v.label, "stock", v.language, v.gender) for v in info.voices)
            self._listed = known = (info, voices)
        return known[1]


_ALIASES = [VoiceInfo(name, name, "alias", None, gender) for name, (_, gender) in OPENAI_VOICES.items()]
