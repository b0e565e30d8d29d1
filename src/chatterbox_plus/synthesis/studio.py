"""All that can be asked of the house, in plain calls: what the API, the CLI and jobs use.

Synchronous and thread-safe; every call takes an Event that stops its work within a second.
"""

import copy
import logging
import sys
import threading
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from chatterbox_plus.audio.formats import FORMATS
from chatterbox_plus.audio.stage import closing_after
from chatterbox_plus.engines.base import TASKS
from chatterbox_plus.engines.host import EngineHost
from chatterbox_plus.engines.registry import ModelInfo
from chatterbox_plus.errors import Cancelled, PlusError
from chatterbox_plus.library.writing import Reservation, writing
from chatterbox_plus.synthesis.commission import Commission
from chatterbox_plus.synthesis.dictation import Dictation
from chatterbox_plus.synthesis.export import Export, suffixes
from chatterbox_plus.synthesis.job import AnyResult, Clock, Job, Made, commit, note_use, still_wanted
from chatterbox_plus.synthesis.manuscript import Manuscript
from chatterbox_plus.synthesis.options import ConversionOptions, JoinOptions, SpeechOptions
from chatterbox_plus.synthesis.preparing import Preparing
from chatterbox_plus.synthesis.progress import Progress
from chatterbox_plus.synthesis.results import ConversionResult, JoinResult, LiveAudio, Result, SpeechResult
from chatterbox_plus.synthesis.starter import make_starter_files
from chatterbox_plus.synthesis.voices import VoiceInfo

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class WarmedUp:
    """Which model was loaded, and how long it took."""

    model: str
    seconds: float


class Studio(Preparing):
    """Speaks, converts and joins. Owns its engines and decoder: `close` ends them."""

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

    def start(self, *, preload: bool = True) -> None:
        """Warms up decoder and engine, removes what a crash left, furnishes a fresh data folder; from now on what other
        servers store is stored here, too. A neural model is loaded beside; that it failed is logged, and told to
        whoever asks for it.

        preload: whether the engine that `auto` means is started now, not by its first request.
        """
        self.library.meet()
        self.library.follow()
        self.library.sweep()
        with ThreadPoolExecutor(1) as beside:
            decoder = beside.submit(self.decoder.warm_up)
            if preload and (host := self.engines.get()).info.preview:
                host.warm_up()
            elif preload:
                threading.Thread(target=self._preload, args=(host,), name="preload", daemon=True).start()
            decoder.result()
        self.furnish()

    def _preload(self, host: EngineHost) -> None:
        try:
            host.prepare(frozenset(TASKS), cancel=Event(), timeout_s=self._limits.timeout_s)
        except Cancelled:
            pass  # the house is closed already
        except PlusError as error:
            _log.error("the %s could not be loaded: %s", host.info.title or host.info.name, error.message)

    def warm_up(self, model: str, tasks: frozenset[str], *, cancel: Event) -> WarmedUp:
        """Load what a model needs for these of `engines.base.TASKS`.

        Raises what `Engines.get` raises, ModelLoadError, Cancelled, GenerationTimeout.
        """
        began = time.monotonic()
        host = self.engines.get(model)
        if host.info.preview:
            host.warm_up()  # all of its children: they share the work
        host.prepare(tasks, cancel=cancel, timeout_s=self._limits.timeout_s)
        return WarmedUp(host.info.name, time.monotonic() - began)

    def furnish(self) -> None:
        """Gives a fresh data folder its starter files, the same ones whatever defaults and limits anybody has set."""
        self.library.meet()
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
        self.library.close()

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
        """Text to bytes while it is spoken, in the middle of a passage too unless the options want it exact; whatever
        can be known to fail before the first byte is raised here.

        format: of the bytes (any of FORMATS), None for the first of export_formats. keep: whether there is a file with
        its sidecar at the end. speed: instead of the option's, 0.25-4.0. any_model: an unknown model means `auto`.
        """
        return self._live(
            lambda _: self._speech(
                options,
                cancel,
                speed=speed,
                any_model=any_model,
                reference=reference,
                progress=progress,
                live=True,
            ),
            format,
            keep,
        )

    def dictate(
        self,
        options: SpeechOptions,
        manuscript: Manuscript,
        *,
        cancel: Event,
        format: str,
        speed: float | None = None,
        any_model: bool = False,
    ) -> Dictation:
        """Speech of a text that is written meanwhile, a stream of `format`; the options say how, but not what.

        It counts as somebody in the house until it is over; nothing is kept. speed, any_model: see `speak_live`.
        Raises what is wrong with the request.
        """
        self._gate.enter()
        with ExitStack() as until_it_is_there:
            until_it_is_there.callback(self._gate.leave)
            dictation = Dictation(
                self._cast(options, cancel, any_model),
                manuscript,
                self.library,
                timeout_s=self._limits.timeout_s,
                format=format,
                cancel=cancel,
                speed=speed,
                release=self._gate.leave,
            )
            until_it_is_there.pop_all()
        return dictation

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
