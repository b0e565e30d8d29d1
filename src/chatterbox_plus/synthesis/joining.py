"""Joining as one job: which stored files and uploads are meant, and what is written down about the result."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from threading import Event
from typing import Any

from chatterbox_plus.audio.clip import Samples
from chatterbox_plus.audio.decode import Decoder
from chatterbox_plus.errors import BadRequest
from chatterbox_plus.library.holds import Hold
from chatterbox_plus.library.library import Library
from chatterbox_plus.library.naming import join_stem, output_name
from chatterbox_plus.library.records import Generation
from chatterbox_plus.library.writing import Reservation
from chatterbox_plus.synthesis.export import Sound
from chatterbox_plus.synthesis.job import Clock, Destination, Made, parameters
from chatterbox_plus.synthesis.join import JoinSource, join
from chatterbox_plus.synthesis.notes import join_notes
from chatterbox_plus.synthesis.options import FileSegment, JoinOptions, SilenceSegment, UploadSegment
from chatterbox_plus.synthesis.progress import Progress
from chatterbox_plus.synthesis.results import JoinResult


class JoinJob:
    """See `job.Job`."""

    model = ""
    seed: int | None = None

    def __init__(
        self,
        options: JoinOptions,
        uploads: Sequence[tuple[str, Path]],
        decoder: Decoder,
        library: Library,
        *,
        holds: ExitStack,
        cancel: Event,
        clock: Clock,
        progress: Progress | None = None,
    ) -> None:
        """uploads: (name, path) of what the upload segments mean, by index. holds: what keeps stored files meanwhile.

        Raises NotFound and its kin for a stored file, BadRequest for an upload that is not there, InvalidAudio and its
        kin for a file that cannot be decoded.
        """
        self.notes: tuple[str, ...] = tuple(join_notes(options))
        if "pause_variation_ms" not in options.model_fields_set and options.pause_duration_ms:
            fitting = min(options.pause_variation_ms, options.pause_duration_ms - 1)  # as told in names and replies
            options = options.model_copy(update={"pause_variation_ms": fitting})
        self._options, self._clock = options, clock
        self._joined = join(
            options, _sources(options, uploads, library, holds), decoder, cancel=cancel, progress=progress
        )
        self.cancel = cancel
        self.sound = Sound(self._joined.rate, self._joined.channels)
        self.destination = Destination(options.subfolder, _stem(options, clock), options.export_formats)

    def blocks(self, reservation: Reservation | None) -> Iterator[Samples]:
        return self._joined.blocks()

    def sidecar(self, names: dict[str, str], made: Made) -> dict[str, Any]:
        metadata = self._metadata(made)
        info = {**metadata, "notes": list(self.notes)}
        extra = {
            "source_files": [file["filename"] for file in metadata["processed_files"]],
            "source_files_info": metadata["processed_files"],
        }
        return Generation("concat", parameters(self._options), info, names, extra, self._clock.when).as_json()

    def result(self, made: Made) -> JoinResult:
        sizes = {"output_size_bytes": made.files[0].size_bytes} if made.files else {}
        return JoinResult(
            files=made.files,
            duration_s=made.duration_s,
            processing_s=made.processing_s,
            notes=self.notes,
            metadata={**self._metadata(made), **sizes},
        )

    def note_use(self) -> None:
        """No voice was used."""

    def _metadata(self, made: Made) -> dict[str, Any]:
        return {**self._joined.metadata(), "processing_time_seconds": round(made.processing_s, 3)}


def _sources(
    options: JoinOptions, uploads: Sequence[tuple[str, Path]], library: Library, holds: ExitStack
) -> dict[int, JoinSource]:
    found: dict[int, JoinSource] = {}
    for position, segment in enumerate(options.segments):
        if isinstance(segment, FileSegment):
            hold = holds.enter_context(Hold(library.outputs.resolve(segment.filename)))
            found[position] = JoinSource(segment.filename, hold.path)
        elif isinstance(segment, UploadSegment):
            if segment.index >= len(uploads):
                raise BadRequest(f"Expected {segment.index + 1} uploaded files, got {len(uploads)}")
            found[position] = JoinSource(*uploads[segment.index])
    return found


def _stem(options: JoinOptions, clock: Clock) -> str:
    if options.output_filename:
        return output_name(options.output_filename)
    silences = sum(isinstance(segment, SilenceSegment) for segment in options.segments)
    return join_stem(
        clock.when,
        files=len(options.segments) - silences,
        silences=silences,
        pause_duration_ms=options.pause_duration_ms,
        pause_variation_ms=options.pause_variation_ms,
        crossfade_ms=options.crossfade_ms,
        normalize_levels=options.normalize_levels,
        trim=options.trim,
        trim_threshold_ms=options.trim_threshold_ms,
    )
