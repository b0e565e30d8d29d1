"""Text to speech as one job: whose voice, which passages, and what is done to the sound."""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

from chatterbox_plus.audio.clip import Samples
from chatterbox_plus.audio.formats import SPEECH_RATE
from chatterbox_plus.engines.base import Reference
from chatterbox_plus.engines.host import EngineHost
from chatterbox_plus.errors import TextTooLong
from chatterbox_plus.library.library import Library
from chatterbox_plus.library.naming import speech_stem
from chatterbox_plus.library.records import Generation
from chatterbox_plus.library.writing import Reservation
from chatterbox_plus.synthesis.commission import Commission
from chatterbox_plus.synthesis.export import SPEECH_MP3_BIT_RATE, UNCUT, MadeFile, Sound
from chatterbox_plus.synthesis.finish import Finish
from chatterbox_plus.synthesis.job import Clock, Destination, Made, parameters
from chatterbox_plus.synthesis.notes import speech_notes, text_notes, voice_notes
from chatterbox_plus.synthesis.options import MAX_SEED, SpeechOptions
from chatterbox_plus.synthesis.pipeline import Speaking, TimedWord
from chatterbox_plus.synthesis.plan import NO_EDITS, make_plan
from chatterbox_plus.synthesis.progress import Progress
from chatterbox_plus.synthesis.results import SpeechResult
from chatterbox_plus.synthesis.takes import Takes, careful_ahead
from chatterbox_plus.synthesis.voices import Speaker

_NOT_HEARD = {"project", "folder", "export_formats", "streaming"}
"""Options that leave what is said as it is."""


@dataclass(frozen=True)
class SpeechLimits:
    """What a server allows. timeout_s: seconds without a finished passage."""

    max_text_chars: int
    timeout_s: float

    def check(self, text: str) -> None:
        """Raises TextTooLong. Blanks around the text do not count."""
        length = len(text.strip())
        if length > self.max_text_chars:
            raise TextTooLong(
                f"the text has {length} characters; this server takes {self.max_text_chars}", param="text"
            )


class SpeechJob:
    """See `job.Job`."""

    sound = Sound(SPEECH_RATE, mp3_bit_rate=SPEECH_MP3_BIT_RATE)

    def __init__(
        self,
        sent: SpeechOptions,
        options: SpeechOptions,
        speaker: Speaker,
        host: EngineHost,
        reference: Reference | None,
        library: Library,
        *,
        limits: SpeechLimits,
        cancel: Event,
        clock: Clock,
        speed: float | None = None,
        progress: Progress | None = None,
        takes: Takes | None = None,
        commission: Commission | None = None,
        live: bool = False,
    ) -> None:
        """sent: as the client wrote it; options: with the defaults filled in. speed: instead of the option's, 0.25-4.0.

        takes: where passages may be taken from, and are kept. live: somebody listens while it is made.

        Raises what `make_plan` raises.
        """
        self._options, self._speaker, self._host, self._library, self._clock = options, speaker, host, library, clock
        self._commission = commission
        seed = commission.seed if commission else _seed(options, takes)
        self._plan = make_plan(options, speaker, host.info, seed, commission.edits if commission else NO_EDITS)
        self._speed = options.speed_factor if speed is None else speed
        self._finish = Finish(
            options,
            speed=self._speed,
            rate=self.sound.rate,
            folder=library.temp,
            cancel=cancel,
            lra_asked="normalize_lra" in sent.model_fields_set,
        )
        self._speaking = Speaking(
            self._plan,
            host,
            reference,
            cancel=cancel,
            timeout_s=limits.timeout_s,
            progress=self._tell if commission and commission.on_passage else progress,
            takes=takes,
            ahead=careful_ahead(host.info) if commission else None,
            lane=commission.lane if commission else 0,
            live=live and takes is None and not self._finish.needs_whole and options.streaming == "live",
        )
        self._uncut: Path | None = None
        self._uncut_bytes = 0
        self._notes = [
            *speech_notes(sent, host.info),
            *voice_notes(speaker, reference, host.info),
            *text_notes(self._plan.text, self._plan.language, host.info),
        ]
        self.cancel = cancel
        self.model = host.info.name
        self.seed: int | None = self._plan.seed
        self.destination = Destination(
            options.subfolder,
            commission.name
            if commission and commission.name
            else speech_stem(
                clock.when,
                temperature=options.temperature,
                seed=options.seed,
                exaggeration=options.exaggeration,
                speed_factor=self._speed,
                trim=options.trim,
                trim_threshold_ms=options.trim_threshold_ms,
            ),
            options.export_formats,
            uncut=options.use_auto_editor and options.keep_original_wav_ae,
        )

    @property
    def notes(self) -> tuple[str, ...]:
        silent = ("nothing in the text can be spoken: the audio is silent",) if self._speaking.silent else ()
        return (*self._notes, *silent, *self._finish.notes)

    @property
    def words(self) -> tuple[TimedWord, ...]:
        """When each word sounds in the finished audio; complete once the blocks have ended."""

        def at(spoken_s: float) -> float:
            return round(self._finish.map_time(spoken_s), 3)

        return tuple(replace(w, start_s=at(w.start_s), end_s=at(w.end_s)) for w in self._speaking.words)

    @property
    def places(self) -> tuple[tuple[float, float], ...]:
        """When each passage of the text sounds in the finished audio, in seconds; complete as `words` is."""
        found: dict[int, tuple[float, float]] = {}
        for part, (start_s, end_s) in zip(self._plan.passages, self._speaking.places, strict=False):
            begun = found.get(part.number, (start_s, end_s))[0]  # an edited one may have become several
            found[part.number] = begun, end_s
        return tuple(
            (round(self._finish.map_time(start_s), 3), round(self._finish.map_time(end_s), 3))
            for start_s, end_s in found.values()
        )

    def blocks(self, reservation: Reservation | None) -> Iterator[Samples]:
        uncut = partial(self._keep_uncut, reservation) if reservation and self.destination.uncut else None
        return self._finish.run(self._speaking.blocks(), uncut)

    def _keep_uncut(self, reservation: Reservation, blocks: Iterator[Samples]) -> None:
        self._uncut = reservation.path(UNCUT)
        file = reservation.open(UNCUT)
        encoder = self.sound.encoder("wav", file)
        for block in blocks:
            encoder.push(block)
        encoder.finish()
        self._uncut_bytes = file.seek(0, os.SEEK_END)

    def sidecar(self, names: dict[str, str], made: Made) -> dict[str, Any]:
        extra: dict[str, Any] = {}
        if self._options.timestamps:
            extra = {"words": [asdict(w) for w in self.words], "words_estimated": self._host.info.estimates_word_times}
        if self._uncut:
            extra["uncut_file"] = self._uncut.name
        return Generation(
            "tts",
            parameters(
                self._options,
                text=self._plan.text,
                seed=self._plan.seed,
                language=self._plan.language,
                speed_factor=self._speed,
            ),
            {
                "processing_time_seconds": round(made.processing_s, 3),
                "seed_used": self._plan.seed,
                "model": self.model,
                "chunks_processed": len(self._plan.passages),
                "text_length": len(self._plan.text),
                "processed_text_length": self._plan.spoken_chars,
                "duration_seconds": round(made.duration_s, 3),
                "notes": list(self.notes),
            },
            names,
            extra,
            self._clock.when,
        ).as_json()

    def result(self, made: Made) -> SpeechResult:
        uncut = None
        if self._uncut:
            outputs = self._library.outputs
            uncut = MadeFile("wav", outputs.relative(self._uncut), self._uncut_bytes, outputs.prefix)
        return SpeechResult(
            files=made.files,
            duration_s=made.duration_s,
            processing_s=made.processing_s,
            model=self.model,
            notes=self.notes,
            seed=self._plan.seed,
            passages=len(self._plan.passages),
            uncut=uncut,
            words=self.words if self._options.timestamps else (),
            places=self.places,
            words_estimated=self._host.info.estimates_word_times,
        )

    def _tell(self, done: float, total: float | None) -> None:
        if self._commission and self._commission.on_passage:
            self._commission.on_passage(int(done), int(total or 0), self._speaking.spoken_s)

    def note_use(self) -> None:
        if self._speaker.recording:
            self._library.note_use(self._speaker.recording)


def _seed(options: SpeechOptions, takes: Takes | None) -> int:
    """0 = a new one. Who allows earlier takes gets the same ones for the same request."""
    if takes is None:
        return 0
    asked = options.model_dump_json(include=set(SpeechOptions.model_fields) - _NOT_HEARD)
    return 1 + int.from_bytes(hashlib.sha256(asked.encode()).digest()[:4], "little") % MAX_SEED
