"""All that can be asked of the house, in plain calls: what the API, the CLI and jobs use.

Synchronous and thread-safe; every call takes an Event that stops its work within a second.
"""

import copy
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, nullcontext
from pathlib import Path
from threading import Event
from typing import Any

from chatterbox_plus.audio.decode import Decoder
from chatterbox_plus.audio.formats import FORMATS
from chatterbox_plus.audio.stage import closing_after
from chatterbox_plus.engines.base import Reference
from chatterbox_plus.engines.host import EngineHost
from chatterbox_plus.engines.registry import Engines, ModelInfo
from chatterbox_plus.errors import BadRequest, InvalidOption, PermissionDenied
from chatterbox_plus.library.holds import Hold
from chatterbox_plus.library.library import Library
from chatterbox_plus.library.writing import Reservation, writing
from chatterbox_plus.synthesis.commission import Commission
from chatterbox_plus.synthesis.convert import ConversionJob, Source, Target
from chatterbox_plus.synthesis.defaults import with_defaults
from chatterbox_plus.synthesis.export import Export, suffixes
from chatterbox_plus.synthesis.gate import Gate
from chatterbox_plus.synthesis.job import AnyResult, Clock, Job, Made, commit, note_use, still_wanted
from chatterbox_plus.synthesis.joining import JoinJob
from chatterbox_plus.synthesis.narration import Break, Narration, Turn
from chatterbox_plus.synthesis.options import ConversionOptions, FileSegment, JoinOptions, SpeechOptions
from chatterbox_plus.synthesis.plan import NothingToSay, make_plan
from chatterbox_plus.synthesis.progress import Progress
from chatterbox_plus.synthesis.results import ConversionResult, JoinResult, LiveAudio, Result, SpeechResult
from chatterbox_plus.synthesis.sources import Fetched, Sources, is_url
from chatterbox_plus.synthesis.speech import SpeechJob, SpeechLimits
from chatterbox_plus.synthesis.starter import make_starter_files
from chatterbox_plus.synthesis.takes import Takes
from chatterbox_plus.synthesis.voices import Speaker, VoiceInfo, Voices
from chatterbox_plus.text.markup import Pause
from chatterbox_plus.text.markup import parse as parse_marks


class Studio:
    """Speaks, converts and joins. Owns its engines and decoder: `close` ends them."""

    def __init__(
        self,
        library: Library,
        engines: Engines,
        decoder: Decoder,
        *,
        capacity: int,
        timeout_s: float,
        max_text_chars: int,
        sources: Sources | None = None,
        takes: Takes | None = None,
        speech_defaults: Mapping[str, Any] | None = None,
        conversion_defaults: Mapping[str, Any] | None = None,
    ) -> None:
        """capacity: requests at once, waiting ones included. timeout_s: seconds without progress before giving up.
        sources: who fetches what is named by URL; None: nobody does. takes: where passages of tasks are kept, and of
        requests that allow it.

        speech_defaults, conversion_defaults: the configuration's; the rest comes from the options' own defaults.
        """
        self.library, self.engines, self.decoder = library, engines, decoder
        self.voices = Voices(library, decoder)
        self._sources = sources
        self.takes = takes
        self._gate = Gate(capacity)
        self._limits = SpeechLimits(max_text_chars, timeout_s)
        self._speech_defaults = ("tts_defaults", speech_defaults or {})
        self._conversion_defaults = ("vc_defaults", conversion_defaults or {})

    @property
    def busy(self) -> int:
        """Requests in the house now."""
        return self._gate.inside

    @property
    def full(self) -> bool:
        """Whether another request would be refused now."""
        return self._gate.full

    def within(self, project: str) -> "Studio":
        """The same studio for one project: it finds its inputs and makes its outputs there, and shares all else."""
        library = self.library.within(project)
        if library is self.library:
            return self
        view = copy.copy(self)
        view.library, view.voices = library, self.voices.within(library)
        return view

    def start(self) -> None:
        """Warms up engine children and decoder, removes what a crash left, furnishes a fresh data folder."""
        self.library.sweep()
        with ThreadPoolExecutor(1) as beside:
            decoder = beside.submit(self.decoder.warm_up)
            self.engines.get().warm_up()
            decoder.result()
        self.furnish()

    def furnish(self) -> None:
        """Gives a fresh data folder its starter files, the same ones whatever defaults and limits anybody has set."""
        plain = Studio(
            self.library,
            self.engines,
            self.decoder,
            capacity=1,
            timeout_s=self._limits.timeout_s,
            max_text_chars=sys.maxsize,
        )
        make_starter_files(plain)  # it is never closed: what it works with is ours

    def close(self) -> None:
        self.engines.close()
        self.decoder.close()

    def models(self) -> tuple[ModelInfo, ...]:
        """Every known model and whether it is installed."""
        return self.engines.catalog()

    def voice_list(self, language: str | None = None) -> list[VoiceInfo]:
        """Voices that a request may name: stored ones, OpenAI's names, the engine's own (of one language, if given)."""
        return self.voices.list(self.engines.get("auto").info, language)

    # Speech

    def speak(
        self,
        options: SpeechOptions,
        *,
        cancel: Event,
        also: str | None = None,
        reference: Path | None = None,
        progress: Progress | None = None,
        commission: Commission | None = None,
    ) -> SpeechResult:
        """Text to files below outputs/.

        also: a format to make besides those of export_formats, wherever they come from. reference: a recording to sound
        like, given directly instead of by name. commission: for work that may be begun again; it does not count as
        somebody in the house, and its passages are kept.
        """
        return self._keep(
            lambda _: self._speech(options, cancel, reference=reference, progress=progress, commission=commission),
            also,
            commission,
        )

    def check_speech(self, options: SpeechOptions, *, plan: bool = True) -> None:
        """Raises what `speak` would raise about the request itself, without a sound. plan: read the text, too."""
        self._limits.check(options.text)
        name = options.reference_audio_filename or ""
        speaker = Speaker(name) if is_url(name) else self.voices.find(name, options.language)
        filled = self._filled(options, speaker)
        host = self._host(filled.model)
        if plan:
            make_plan(filled, speaker, host.info, 1)

    def speak_live(
        self,
        options: SpeechOptions,
        *,
        cancel: Event,
        format: str | None = None,
        keep: bool = True,
        speed: float | None = None,
        any_model: bool = False,
        reference: Path | None = None,
        progress: Progress | None = None,
    ) -> LiveAudio:
        """Text to bytes while it is spoken; whatever can be known to fail before the first byte is raised here.

        format: of the bytes (any of FORMATS), None for the first of export_formats. keep: whether there is a file with
        its sidecar at the end. speed: instead of the option's, 0.25-4.0. any_model: an unknown model means `auto`.
        """
        return self._live(
            lambda _: self._speech(
                options, cancel, speed=speed, any_model=any_model, reference=reference, progress=progress
            ),
            format,
            keep,
        )

    def _speech(
        self,
        sent: SpeechOptions,
        cancel: Event,
        *,
        speed: float | None = None,
        any_model: bool = False,
        reference: Path | None = None,
        progress: Progress | None = None,
        commission: Commission | None = None,
    ) -> SpeechJob:
        clock = Clock(commission.when if commission else None)
        self._limits.check(sent.text)
        name, sounds_like = sent.reference_audio_filename or "", None
        if reference:
            speaker = Speaker(reference.name)
        elif is_url(name):
            self._host(sent.model, any_model)  # an unknown model is known before a long download
            name, sounds_like = self._reference_at(name, cancel, "reference_audio_filename")
            sent, speaker = sent.model_copy(update={"reference_audio_filename": name}), Speaker(name)
        else:
            speaker = self.voices.find(name, sent.language)
        options = self._filled(sent, speaker)
        path = reference or (speaker.recording.path if speaker.recording else None)
        return SpeechJob(
            sent,
            options,
            speaker,
            self._host(options.model, any_model),
            self.voices.reference(path, speaker.name, cancel) if path else sounds_like,
            self.library,
            limits=self._limits,
            cancel=cancel,
            clock=clock,
            speed=speed,
            progress=progress,
            takes=self.takes if commission or options.reuse_takes else None,
            commission=commission,
        )

    def _filled(self, sent: SpeechOptions, speaker: Speaker) -> SpeechOptions:
        own = (f"default_parameters of the voice {speaker.name}", speaker.defaults)
        return with_defaults(sent, own, self._speech_defaults)

    def narrate(self, options: SpeechOptions, text: str, *, cancel: Event, seed: int, lane: int = 1) -> Narration:
        """A text with marks (`text.markup`), ready to be spoken; the options say how, but not what.

        seed: used where the options name none. Raises what `speak` raises about a request, InvalidOption for a mark
        that cannot be read or a voice that is not there.
        """
        parts: list[Turn | Pause | Break] = []
        for part in parse_marks(text):
            if isinstance(part, Pause):
                parts.append(part)
            elif part.text.strip():
                asked = options.model_copy(update={"text": part.text})
                if part.voice is not None:
                    asked = asked.model_copy(update={"reference_audio_filename": part.voice})
                parts.append(self._turn(asked, part.start, cancel, seed) or Break())
        return Narration(parts, self.takes, cancel=cancel, timeout_s=self._limits.timeout_s, lane=lane)

    def _turn(self, asked: SpeechOptions, start: int, cancel: Event, seed: int) -> Turn | None:
        """None for what cannot be said."""
        name = asked.reference_audio_filename or ""
        if is_url(name):
            raise InvalidOption("a book's voice must be a stored one, not a URL", param="reference_audio_filename")
        speaker = self.voices.find(name, asked.language)
        options = self._filled(asked, speaker)
        host = self._host(options.model)
        try:
            plan = make_plan(options, speaker, host.info, seed)
        except NothingToSay:
            return None
        if not any(c.isalnum() for planned in plan.passages for c in planned.passage.text):
            return None
        recording = speaker.recording
        reference = self.voices.reference(recording.path, speaker.name, cancel) if recording else None
        return Turn(plan, asked.text, start, host, reference)

    def _host(self, model: str, any_model: bool = False) -> EngineHost:
        return self.engines.get_or_auto(model) if any_model else self.engines.get(model)

    # Conversion

    def convert(
        self,
        options: ConversionOptions,
        *,
        cancel: Event,
        also: str | None = None,
        source: Path | None = None,
        source_name: str | None = None,
        target: Path | None = None,
        progress: Progress | None = None,
        commission: Commission | None = None,
    ) -> ConversionResult:
        """A recording to files below outputs/. source, target: files given directly instead of by name.

        commission: see `speak`.
        """
        return self._keep(
            lambda holds: self._conversion(options, holds, cancel, source, source_name, target, progress, commission),
            also,
            commission,
        )

    def check_conversion(self, options: ConversionOptions, *, source: bool = False, target: bool = False) -> None:
        """Raises what `convert` would raise about what is named. source, target: whether a file is given instead."""
        filled = with_defaults(options, self._conversion_defaults)
        self._host(filled.model)
        name = filled.input_audio_source
        if not source and not name:
            raise BadRequest("no recording to convert: send input_audio_source", param="input_audio_source")
        if not source and name and not is_url(name):
            self.voices.stored_input(name)
        if not target and not is_url(filled.target_voice_source):
            self.voices.recording(filled.target_voice_source)

    def convert_live(
        self,
        options: ConversionOptions,
        *,
        cancel: Event,
        source: Path | None = None,
        source_name: str | None = None,
        target: Path | None = None,
        format: str | None = None,
        keep: bool = True,
        progress: Progress | None = None,
    ) -> LiveAudio:
        """The same as bytes while it is converted; see `speak_live`."""
        return self._live(
            lambda holds: self._conversion(options, holds, cancel, source, source_name, target, progress), format, keep
        )

    def _conversion(
        self,
        sent: ConversionOptions,
        holds: ExitStack,
        cancel: Event,
        source: Path | None,
        source_name: str | None,
        target: Path | None,
        progress: Progress | None,
        commission: Commission | None = None,
    ) -> ConversionJob:
        clock = Clock(commission.when if commission else None)
        options = with_defaults(sent, self._conversion_defaults)
        host = self._host(options.model)
        return ConversionJob(
            sent,
            options,
            self._source(options.input_audio_source, source, source_name, holds, cancel),
            self._target(options.target_voice_source, target, cancel),
            host,
            self.decoder,
            self.library,
            timeout_s=self._limits.timeout_s,
            cancel=cancel,
            clock=clock,
            progress=progress,
            lane=commission.lane if commission else 0,
        )

    def _source(
        self, name: str | None, path: Path | None, path_name: str | None, holds: ExitStack, cancel: Event
    ) -> Source:
        if path:
            return Source(path_name or path.name, path)
        if name and is_url(name):
            fetched = self._fetch(name, holds, cancel, "input_audio_source")
            return Source(fetched.name, fetched.path)
        if name:
            return Source(name, holds.enter_context(Hold(self.voices.stored_input(name))).path)
        raise BadRequest("no recording to convert: send input_audio or input_audio_source", param="input_audio_source")

    def _target(self, name: str, path: Path | None, cancel: Event) -> Target:
        if path:
            return Target(name, self.voices.reference(path, name, cancel))
        if is_url(name):
            return Target(*self._reference_at(name, cancel, "target_voice_source"))
        recording = self.voices.recording(name)
        return Target(name, self.voices.reference(recording.path, name, cancel), recording)

    def _fetch(self, url: str, holds: ExitStack, cancel: Event, param: str) -> Fetched:
        """What is behind a URL; its file is there as long as `holds` is."""
        if self._sources is None:
            raise PermissionDenied("this server takes no audio from URLs: send or store the file instead", param=param)
        return self._sources.fetch(url, holds.enter_context(self.library.temporary()), cancel, param=param)

    def _reference_at(self, url: str, cancel: Event, param: str) -> tuple[str, Reference]:
        """What is behind a URL as an engine takes it, with its name."""
        with ExitStack() as until_decoded:
            fetched = self._fetch(url, until_decoded, cancel, param)
            return fetched.name, self.voices.reference(fetched.path, fetched.name, cancel)

    # Joining

    def join(
        self,
        options: JoinOptions,
        *,
        cancel: Event,
        also: str | None = None,
        uploads: Sequence[tuple[str, Path]] = (),
        progress: Progress | None = None,
        commission: Commission | None = None,
    ) -> JoinResult:
        """Files to one file below outputs/. uploads: (name, path) of what the upload segments mean, by index.

        commission: see `speak`.
        """
        return self._keep(
            lambda holds: self._joining(options, holds, cancel, uploads, progress, commission), also, commission
        )

    def check_join(self, options: JoinOptions) -> None:
        """Raises what `join` would raise about files that are named and are not there."""
        for segment in options.segments:
            if isinstance(segment, FileSegment):
                self.library.outputs.resolve(segment.filename)

    def join_live(
        self,
        options: JoinOptions,
        *,
        cancel: Event,
        uploads: Sequence[tuple[str, Path]] = (),
        format: str | None = None,
        keep: bool = True,
        progress: Progress | None = None,
    ) -> LiveAudio:
        """The same as bytes while it is joined; see `speak_live`."""
        return self._live(lambda holds: self._joining(options, holds, cancel, uploads, progress), format, keep)

    def _joining(
        self,
        options: JoinOptions,
        holds: ExitStack,
        cancel: Event,
        uploads: Sequence[tuple[str, Path]],
        progress: Progress | None,
        commission: Commission | None = None,
    ) -> JoinJob:
        if commission and options.seed is None:
            options = options.model_copy(update={"seed": commission.seed})  # the same pauses at every attempt
        return JoinJob(
            options,
            uploads,
            self.decoder,
            self.library,
            holds=holds,
            cancel=cancel,
            clock=Clock(commission.when if commission else None),
            progress=progress,
        )

    # Running

    def _keep(
        self, prepare: Callable[[ExitStack], Job[AnyResult]], also: str | None, commission: Commission | None = None
    ) -> AnyResult:
        """Runs a job into files; all of its formats, or none. prepare: gets a stack for what must live as long."""
        clock = Clock()
        with nullcontext() if commission else self._gate.pass_through(), ExitStack() as holds:
            job = prepare(holds)
            formats = tuple(dict.fromkeys((*job.destination.formats, *filter(None, (also,)))))
            with self._reserve(job, formats, commission) as reservation:
                export = Export(self.library.outputs, reservation, formats, job.sound)
                with closing_after(blocks := job.blocks(reservation)):
                    for block in blocks:
                        still_wanted(job)
                        export.push(block)
                export.finish()
                return commit(job, export, clock)

    def _live(self, prepare: Callable[[ExitStack], Job[Result]], format: str | None, keep: bool) -> LiveAudio:
        clock = Clock()
        with ExitStack() as holds:  # of the live audio, unless it cannot even begin
            self._gate.enter()
            holds.callback(self._gate.leave)
            job = prepare(holds)
            name = format or job.destination.formats[0]
            stored = name if FORMATS[name].container else "wav"  # bare samples in a file are nobody's to play
            reservation = holds.enter_context(self._reserve(job, (stored,))) if keep else None
            return self._live_audio(job, name, stored, reservation, clock, holds.pop_all())

    def _live_audio(
        self,
        job: Job[Result],
        name: str,
        stored: str,
        reservation: Reservation | None,
        clock: Clock,
        holds: ExitStack,
    ) -> LiveAudio:
        """holds: what is given back when all is over."""

        def make(live: LiveAudio) -> Generator[bytes]:
            sound = job.sound
            encoder = sound.encoder(name)
            with writing(), closing_after(blocks := job.blocks(reservation)):
                export = Export(self.library.outputs, reservation, (stored,), sound) if reservation else None
                for block in blocks:
                    still_wanted(job)
                    if export:
                        export.push(block)
                    live.duration_s += block.shape[-1] / sound.rate
                    if data := encoder.push(block):
                        yield data
                rest = encoder.finish()
                if export:
                    export.finish()
                    live.result = commit(job, export, clock)
                else:
                    note_use(job)
                    live.result = job.result(Made((), live.duration_s, clock.elapsed_s))
                if rest:
                    yield rest

        return LiveAudio(
            make,
            format=FORMATS[name],
            filename=job.destination.stem + FORMATS[name].suffix,
            model=job.model,
            notes=job.notes,
            seed=job.seed,
            cancel=job.cancel,
            release=holds.close,
        )

    def _reserve(self, job: Job[Result], formats: Sequence[str], commission: Commission | None = None) -> Reservation:
        destination = job.destination
        endings = suffixes(formats, uncut=destination.uncut)
        owner = commission.id if commission else None
        return self.library.outputs.reserve(destination.subfolder, destination.stem, endings, owner=owner)
