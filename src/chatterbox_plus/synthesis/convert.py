"""Voice conversion as one job: a recording of any length, said again in another voice."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

from chatterbox_plus.audio.clip import Samples
from chatterbox_plus.audio.decode import Decoder
from chatterbox_plus.audio.formats import SPEECH_RATE
from chatterbox_plus.audio.resample import Resampler
from chatterbox_plus.audio.stage import closing_after, through
from chatterbox_plus.engines.base import Reference
from chatterbox_plus.engines.host import EngineHost
from chatterbox_plus.errors import GenerationError
from chatterbox_plus.library.library import Library
from chatterbox_plus.library.naming import conversion_stem
from chatterbox_plus.library.records import Generation, Voice
from chatterbox_plus.library.writing import Reservation
from chatterbox_plus.synthesis.export import SPEECH_MP3_BIT_RATE, Sound
from chatterbox_plus.synthesis.job import Clock, Destination, Made, parameters
from chatterbox_plus.synthesis.notes import conversion_notes
from chatterbox_plus.synthesis.options import ConversionOptions
from chatterbox_plus.synthesis.progress import Progress
from chatterbox_plus.synthesis.results import ConversionResult


@dataclass(frozen=True)
class Source:
    """The recording to convert. name: as the client knows it."""

    name: str
    path: Path


@dataclass(frozen=True)
class Target:
    """The voice to convert to. recording: the stored voice it is, None for a file that came with the request."""

    name: str
    reference: Reference
    recording: Voice | None = None


class ConversionJob:
    """See `job.Job`."""

    sound = Sound(SPEECH_RATE, mp3_bit_rate=SPEECH_MP3_BIT_RATE)
    seed: int | None = None

    def __init__(
        self,
        sent: ConversionOptions,
        options: ConversionOptions,
        source: Source,
        target: Target,
        host: EngineHost,
        decoder: Decoder,
        library: Library,
        *,
        timeout_s: float,
        cancel: Event,
        clock: Clock,
        progress: Progress | None = None,
        lane: int = 0,
    ) -> None:
        """sent: as the client wrote it; options: with the defaults filled in.

        Raises InvalidAudio and its kin when the source cannot be decoded.
        """
        self._options, self._source, self._target = options, source, target
        self._host, self._decoder, self._library = host, decoder, library
        self._timeout_s, self._clock, self._progress, self._lane = timeout_s, clock, progress, lane
        self._total_s = decoder.probe(source.path, cancel=cancel, name=source.name).duration_s
        self.cancel = cancel
        self.model = host.info.name
        self.notes: tuple[str, ...] = tuple(conversion_notes(sent, host.info))
        self.destination = Destination(
            options.subfolder,
            conversion_stem(
                clock.when, chunk_sec=options.chunk_sec, overlap_sec=options.overlap_sec, voice=target.name
            ),
            options.export_formats,
        )

    def blocks(self, reservation: Reservation | None) -> Iterator[Samples]:
        samples_in_all = 0
        with self._decoder.stream(
            self._source.path, rate=self.sound.rate, channels=1, cancel=self.cancel, name=self._source.name
        ) as stream:
            converted = self._host.convert(
                stream,
                self.sound.rate,
                self._target.reference,
                float(self._options.chunk_sec),
                self._options.overlap_sec,
                cancel=self.cancel,
                timeout_s=self._timeout_s,
                lane=self._lane,
                watermark=self._host.info.marks_audio and not self._options.disable_watermark,
            )
            with closing_after(blocks := through(Resampler(self._host.info.rate, self.sound.rate), converted)):
                for block in blocks:
                    samples_in_all += len(block)
                    yield block
                    if self._progress:
                        self._progress(samples_in_all / self.sound.rate, self._total_s)
        if not samples_in_all:
            raise GenerationError("the engine made no sound of the recording")

    def sidecar(self, names: dict[str, str], made: Made) -> dict[str, Any]:
        actual = {"input_audio_source": self._source.name, "target_voice_source": self._target.name}
        info = {
            "processing_time_seconds": round(made.processing_s, 3),
            "model": self.model,
            "duration_seconds": round(made.duration_s, 3),
            "notes": list(self.notes),
        }
        extra = {"source_files": [self._source.name]}
        return Generation("vc", parameters(self._options, **actual), info, names, extra, self._clock.when).as_json()

    def result(self, made: Made) -> ConversionResult:
        return ConversionResult(
            files=made.files,
            duration_s=made.duration_s,
            processing_s=made.processing_s,
            model=self.model,
            notes=self.notes,
        )

    def note_use(self) -> None:
        if self._target.recording:
            self._library.note_use(self._target.recording)
