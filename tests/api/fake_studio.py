"""A studio whose answers a test can compute: no engine, no audio, the same calls.

A text steers it: "block" waits until called off, "break" breaks off after the first chunks, "boom" is a bug, "fail" an
engine's failure, "full" finds the house full, "slow" gives one chunk and then waits for `go`, "endless" never stops.
Every other text is said as its own UTF-8 bytes.
"""

import copy
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from chatterbox_plus.audio.decode import Decoder
from chatterbox_plus.audio.formats import FORMATS
from chatterbox_plus.engines.host import Health
from chatterbox_plus.engines.registry import ModelInfo
from chatterbox_plus.errors import Cancelled, GenerationError, NotFound, Overloaded, TextTooLong
from chatterbox_plus.library.library import Library
from chatterbox_plus.synthesis.export import MadeFile
from chatterbox_plus.synthesis.notes import unknown_notes
from chatterbox_plus.synthesis.options import ConversionOptions, JoinOptions, SpeechOptions
from chatterbox_plus.synthesis.pipeline import TimedWord
from chatterbox_plus.synthesis.results import ConversionResult, JoinResult, LiveAudio, SpeechResult
from chatterbox_plus.synthesis.voices import VoiceInfo

SEED = 42
MAX_TEXT = 10_000
WAIT_S = 20  # a test that needs longer has failed


@dataclass
class Call:
    """What was asked of the studio."""

    kind: str
    options: Any
    more: dict[str, Any] = field(default_factory=dict)


class FakeStudio:
    def __init__(self, data: Path) -> None:
        self.library = Library(data / "reference_audio", data / "vc_inputs", data / "outputs", data / "temp")
        self.running = 2  # engine processes
        self.engines: Any = SimpleNamespace(
            get=lambda model: SimpleNamespace(
                info=SimpleNamespace(name="fake", preview=True),
                health=lambda: Health(2, self.running, 1, 1, 3, loaded=self.running),
            ),
            settled=True,
            running=lambda: {"fake": self.engines.get("auto")},
            changed=lambda name: None,
            why="The settings name it",
            machine=SimpleNamespace(known=True, device="cpu"),
        )
        self.decoder = Decoder(workers=1)  # the real one: uploads must decode
        self.busy = 1  # requests in the house
        self.full = False
        self.calls: list[Call] = []
        self.entered = threading.Semaphore(0)  # a blocking request has reached us
        self.left = threading.Semaphore(0)  # ... and has been called off
        self.closed = threading.Semaphore(0)  # live audio was closed
        self.go = threading.Event()  # lets "slow" go on
        self._made = 0

    def within(self, project: str) -> "FakeStudio":
        view = copy.copy(self)
        view.library = self.library.within(project)
        return view

    def speak(self, options: SpeechOptions, *, cancel: threading.Event, also: str | None = None) -> SpeechResult:
        self._begin("speak", options, also=also)
        self._check(options)
        self._perhaps_block(options.text, cancel)
        words = (TimedWord(options.text.split()[0], 0.0, 0.5, 0, len(options.text.split()[0])),)
        return SpeechResult(
            files=self._files("tts", options.subfolder, _with(options.export_formats, also), options.text.encode()),
            seed=options.seed or SEED,
            model="fake",
            duration_s=1.5,
            processing_s=0.25,
            notes=tuple(unknown_notes(options)),
            words=words if options.timestamps else (),
            words_estimated=False,
            passages=1,
        )

    def speak_live(
        self,
        options: SpeechOptions,
        *,
        cancel: threading.Event,
        format: str | None = None,
        keep: bool = True,
        speed: float | None = None,
        any_model: bool = False,
    ) -> LiveAudio:
        self._begin("speak_live", options, format=format, keep=keep, speed=speed, any_model=any_model)
        self._check(options)
        self._perhaps_block(options.text, cancel)
        return self._live(options.text.encode(), format or options.export_formats[0], cancel, options.seed or SEED)

    def convert(
        self, options: ConversionOptions, *, cancel: threading.Event, also: str | None = None, **files: Any
    ) -> ConversionResult:
        self._begin("convert", options, **self._contents(files))
        self._find(options, files)
        self._perhaps_block(options.target_voice_source, cancel)
        return ConversionResult(
            files=self._files("vc", options.subfolder, _with(options.export_formats, also), b"converted"),
            model="fake",
            duration_s=2.0,
            processing_s=0.5,
            notes=tuple(unknown_notes(options)),
        )

    def convert_live(
        self, options: ConversionOptions, *, cancel: threading.Event, format: str | None = None, **files: Any
    ) -> LiveAudio:
        self._begin("convert_live", options, format=format, **self._contents(files))
        self._find(options, files)
        return self._live(b"converted live", format or options.export_formats[0], cancel, None)

    def join(
        self,
        options: JoinOptions,
        *,
        cancel: threading.Event,
        also: str | None = None,
        uploads: Sequence[tuple[str, Path]] = (),
    ) -> JoinResult:
        self._begin("join", options, uploads=[(name, path.read_bytes()) for name, path in uploads])
        details: list[dict[str, Any]] = []
        for segment in options.segments:
            if segment.type == "server_file":
                self.library.outputs.resolve(segment.filename)
            kind = "manual_silence" if segment.type == "silence" else "file"
            details.append({"type": kind, "filename": "as stored", "duration_seconds": 1.5})
        return JoinResult(
            files=self._files(
                "concat", options.subfolder, _with(options.export_formats, also), b"joined", options.output_filename
            ),
            duration_s=3.0,
            processing_s=0.1,
            metadata={
                "file_count": len(options.segments),
                "crossfade_ms": options.crossfade_ms,
                "processing_details": details,
                "natural_pauses": 0,
                "files_trimmed": 0,
                "total_silence_removed_seconds": 0.0,
            },
            notes=(),
        )

    def join_live(
        self,
        options: JoinOptions,
        *,
        cancel: threading.Event,
        format: str | None = None,
        uploads: Sequence[tuple[str, Path]] = (),
        keep: bool = True,
    ) -> LiveAudio:
        self._begin(
            "join_live",
            options,
            format=format,
            keep=keep,
            uploads=[(name, path.read_bytes()) for name, path in uploads],
        )
        return self._live(b"joined live", format or options.export_formats[0], cancel, None)

    def voice_list(self, language: str | None = None) -> list[VoiceInfo]:
        voices = [
            VoiceInfo("speaker1.wav", "speaker1.wav", "file"),
            VoiceInfo("alloy", "alloy", "alias", None, "female"),
        ]
        return [*voices, VoiceInfo("en+f3", "English (female 3)", "stock", language or "en", "female")]

    def models(self) -> list[ModelInfo]:
        return [ModelInfo("builtin", True, "A preview voice.", True), ModelInfo("turbo", False, "Fast.", False)]

    def _begin(self, kind: str, options: Any, **more: Any) -> None:
        self.calls.append(Call(kind, options, more))

    def _check(self, options: SpeechOptions) -> None:
        if len(options.text.strip()) > MAX_TEXT:
            raise TextTooLong(
                f"the text has {len(options.text)} characters; this server takes {MAX_TEXT}", param="text"
            )
        voice = options.reference_audio_filename
        if voice and voice not in ("speaker1.wav", "alloy", "en+f3", "default"):
            self.library.voices.resolve(voice)
        if options.text == "full":
            raise Overloaded("the server is busy: too many requests are waiting already")
        if options.text == "boom":
            raise ZeroDivisionError("a secret of the house")
        if options.text == "fail":
            raise GenerationError("the engine failed at this text")

    def _find(self, options: ConversionOptions, files: dict[str, Any]) -> None:
        if "source" not in files:
            self.library.inputs.resolve(options.input_audio_source or "")
        if "target" not in files and options.target_voice_source not in ("speaker1.wav", "block"):
            self.library.voices.resolve(options.target_voice_source)

    def _contents(self, files: dict[str, Any]) -> dict[str, Any]:
        """Uploads are gone when the request is over: what was in them stays."""
        return {name: value.read_bytes() if isinstance(value, Path) else value for name, value in files.items()}

    def _perhaps_block(self, word: str, cancel: threading.Event) -> None:
        if word != "block":
            return
        self.entered.release()
        if not cancel.wait(WAIT_S):
            raise NotFound("nobody called it off")
        self.left.release()
        raise Cancelled("the request was called off")

    def _files(
        self, kind: str, folder: str, formats: Sequence[str], content: bytes, name: str | None = None
    ) -> tuple[MadeFile, ...]:
        self._made += 1
        stem = name or f"{kind}_{self._made}"
        outputs = self.library.outputs
        place = outputs.folder(folder)
        made = []
        for format in formats:
            path = place / f"{stem}.{format}"
            path.write_bytes(content + format.encode())
            made.append(MadeFile(format, outputs.relative(path), path.stat().st_size, outputs.prefix))
        return tuple(made)

    def _live(self, content: bytes, format: str, cancel: threading.Event, seed: int | None) -> LiveAudio:
        def make(live: LiveAudio) -> Iterator[bytes]:
            yield b""  # an encoder that has nothing to say yet
            yield content
            live.duration_s = len(content) / 25
            word = content.decode()
            if word == "slow":
                assert self.go.wait(WAIT_S)
                yield b" and sure"
            if word == "break":
                yield b"x" * 1000
                raise GenerationError("the engine died")
            while word == "endless":
                if cancel.is_set():
                    self.left.release()
                    raise Cancelled("the request was called off")
                yield bytes(65536)

        return live_audio(make, cancel, format=format, seed=seed, release=self.closed.release)


def _with(formats: Sequence[str], also: str | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*formats, *filter(None, (also,)))))


def live_audio(
    make: Callable[[LiveAudio], Iterator[bytes]],
    cancel: threading.Event,
    *,
    format: str = "wav",
    seed: int | None = None,
    release: Callable[[], None] = lambda: None,
) -> LiveAudio:
    return LiveAudio(
        make,  # type: ignore[arg-type]
        format=FORMATS[format],
        filename=f"live.{format}",
        model="fake",
        notes=("a note — with a dash",),
        cancel=cancel,
        release=release,
        seed=seed,
    )
