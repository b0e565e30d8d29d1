"""From a request to work that can begin: whose voice, which recording, what is said. Nothing here makes a sound but
`say`; everything a client can get wrong is found here.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

from chatterbox_plus.audio.decode import Decoder
from chatterbox_plus.audio.stage import closing_after
from chatterbox_plus.engines.base import Passage, Piece, Reference
from chatterbox_plus.engines.host import EngineHost
from chatterbox_plus.engines.registry import AUTO, BUILTIN, MODELS, Engines
from chatterbox_plus.errors import BadRequest, InvalidOption, NotFound, PermissionDenied
from chatterbox_plus.library.holds import Hold
from chatterbox_plus.library.library import Library
from chatterbox_plus.synthesis.cast import Cast
from chatterbox_plus.synthesis.commission import Commission
from chatterbox_plus.synthesis.convert import ConversionJob, Source, Target
from chatterbox_plus.synthesis.defaults import with_defaults
from chatterbox_plus.synthesis.gate import Gate
from chatterbox_plus.synthesis.job import Clock
from chatterbox_plus.synthesis.joining import JoinJob
from chatterbox_plus.synthesis.narration import Break, Narration, Turn
from chatterbox_plus.synthesis.options import ConversionOptions, FileSegment, JoinOptions, SpeechOptions
from chatterbox_plus.synthesis.plan import DEFAULT_LANGUAGE, NO_EDITS, Edits, NothingToSay, language_asked, make_plan
from chatterbox_plus.synthesis.progress import Progress
from chatterbox_plus.synthesis.sources import Fetched, Sources, is_url
from chatterbox_plus.synthesis.speech import SpeechJob, SpeechLimits
from chatterbox_plus.synthesis.takes import Takes
from chatterbox_plus.synthesis.voices import Speaker, Voices
from chatterbox_plus.synthesis.watermark import check_watermark
from chatterbox_plus.text.markup import Pause
from chatterbox_plus.text.markup import parse as parse_marks


class Preparing:
    """What the studio does before it begins. Synchronous and thread-safe."""

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

    def check_speech(self, options: SpeechOptions, *, plan: bool = True) -> None:
        """Raises what `speak` would raise about the request itself, without a sound. plan: read the text, too."""
        self._limits.check(options.text)
        speaker, filled, host = self._who(options)
        if plan:
            make_plan(filled, speaker, host.info, 1)
        else:
            host.info.resolve_language(language_asked(filled, speaker))

    def check_conversion(self, options: ConversionOptions, *, source: bool = False, target: bool = False) -> None:
        """Raises what `convert` would raise about what is named. source, target: whether a file is given instead."""
        filled = with_defaults(options, self._conversion_defaults)
        check_watermark(filled.disable_watermark, self._host(filled.model).info)
        name = filled.input_audio_source
        if not source and not name:
            raise BadRequest("no recording to convert: send input_audio_source", param="input_audio_source")
        if not source and name and not is_url(name):
            self.voices.stored_input(name)
        if not target and not is_url(filled.target_voice_source):
            self.voices.recording(filled.target_voice_source)

    def check_join(self, options: JoinOptions) -> None:
        """Raises what `join` would raise about files that are named and are not there."""
        for segment in options.segments:
            if isinstance(segment, FileSegment):
                self.library.outputs.resolve(segment.filename)

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
        live: bool = False,
        takes: Takes | None = None,
    ) -> SpeechJob:
        """takes: others than the house's."""
        clock = Clock(commission.when if commission else None)
        self._limits.check(sent.text)
        cast = self._cast(sent, cancel, any_model, reference)
        options = cast.options
        return SpeechJob(
            cast.sent,
            options,
            cast.speaker,
            cast.host,
            cast.reference,
            self.library,
            limits=self._limits,
            cancel=cancel,
            clock=clock,
            speed=speed,
            progress=progress,
            takes=takes or (self.takes if commission or options.reuse_takes else None),
            commission=commission,
            live=live,
        )

    def listening(self, sent: SpeechOptions, cancel: Event, commission: Commission, takes: Takes) -> SpeechJob:
        """What somebody else speaks, for who hears it: its passages come from there. Raises as `speak` does."""
        return self._speech(sent, cancel, commission=commission, takes=takes)

    def _cast(self, sent: SpeechOptions, cancel: Event, any_model: bool = False, reference: Path | None = None) -> Cast:
        """Who speaks, and with what recording; a URL is fetched. reference: a recording to sound like instead."""
        name, sounds_like = sent.reference_audio_filename or "", None
        # Whatever is wrong with the request is known before a long download.
        speaker, options, host = self._who(sent, any_model, Speaker(reference.name) if reference else None)
        if not reference and is_url(name):
            name, sounds_like = self._reference_at(name, cancel, "reference_audio_filename")
            sent, options = (each.model_copy(update={"reference_audio_filename": name}) for each in (sent, options))
            speaker = Speaker(name)
        path = reference or (speaker.recording.path if speaker.recording else None)
        if path:
            sounds_like = self.voices.reference(path, speaker.name, cancel)
        return Cast(sent, options, speaker, host, sounds_like)

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
        check_watermark(options.disable_watermark, host.info)
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

    def _joining(
        self,
        options: JoinOptions,
        holds: ExitStack,
        cancel: Event,
        uploads: Sequence[tuple[str, Path]],
        progress: Progress | None,
        commission: Commission | None = None,
    ) -> JoinJob:
        if commission and options.seed is None and options.pause_duration_ms:
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

    def narrate(
        self,
        options: SpeechOptions,
        text: str,
        *,
        cancel: Event,
        seed: int,
        lane: int = 1,
        edits: Edits = NO_EDITS,
        language: str | None = None,
    ) -> Narration:
        """A text with marks (`text.markup`), ready to be spoken; the options say how, but not what.

        seed: used where the options name none. edits: passages to be said otherwise, counted over the whole text.
        language: of the text, where neither the options nor the voice have one.
        Raises what `speak` raises about a request, InvalidOption for a mark that cannot be read.
        """
        parts: list[Turn | Pause | Break] = []
        narrated, at, count = "", 0, 0
        for part in parse_marks(text):
            narrated += text[at : part.start]
            at = part.start
            if isinstance(part, Pause):
                parts.append(part)
            elif part.text.strip():
                asked = options.model_copy(update={"text": part.text})
                if part.voice is not None:
                    asked = asked.model_copy(update={"reference_audio_filename": part.voice})
                own = {number - count: edit for number, edit in edits.items() if number >= count}
                turn = self.turn(asked, cancel=cancel, seed=seed, edits=own, start=len(narrated), language=language)
                parts.append(turn or Break())
                if turn is not None:
                    narrated += turn.plan.text
                    at, count = part.end, count + turn.plan.count
        narrated += text[at:]
        return Narration(parts, narrated, self.takes, cancel=cancel, timeout_s=self._limits.timeout_s, lane=lane)

    def turn(
        self,
        asked: SpeechOptions,
        *,
        cancel: Event,
        seed: int,
        edits: Edits = NO_EDITS,
        start: int = 0,
        language: str | None = None,
    ) -> Turn | None:
        """What one voice says, ready to be spoken; None for what cannot be said. Raises as `narrate` does."""
        name = asked.reference_audio_filename or ""
        if is_url(name):
            raise InvalidOption("this needs a stored voice, not a URL", param="reference_audio_filename")
        speaker, options, host = self._who(asked, language=language)
        try:
            plan = make_plan(options, speaker, host.info, seed, edits)
        except NothingToSay:
            return None
        if not any(c.isalnum() for planned in plan.passages for c in planned.passage.text):
            return None
        recording = speaker.recording
        reference = self.voices.reference(recording.path, speaker.name, cancel) if recording else None
        return Turn(plan, start, host, reference, options)

    def say(
        self, passages: Sequence[Passage], host: EngineHost, reference: Reference | None, *, cancel: Event
    ) -> Iterator[Piece]:
        """Single passages, as somebody who waits for them wants them; kept like all others. Raises Overloaded too."""
        with self._gate.pass_through():
            speak = host.speak if self.takes is None else partial(self.takes.speak, host)
            with closing_after(pieces := speak(passages, reference, cancel=cancel, timeout_s=self._limits.timeout_s)):
                yield from pieces

    def _who(
        self, sent: SpeechOptions, any_model: bool = False, speaker: Speaker | None = None, language: str | None = None
    ) -> tuple[Speaker, SpeechOptions, EngineHost]:
        """Who speaks, the request with its defaults filled in, and the engine.

        speaker: one that comes with the request. language: of the text, where neither request nor voice have one.
        Raises what is wrong with voice, language or model.
        """
        name = sent.reference_audio_filename or ""
        if speaker is None:
            speaker = Speaker(name) if is_url(name) else self.voices.stored(name)
        options = self._filled(sent, speaker or Speaker(name))
        if options.language is None and language is not None and (speaker is None or speaker.language is None):
            options = options.model_copy(update={"language": language})
        host = self._host(options.model, any_model, options.language)
        if speaker is None:
            speaker, host = self._stock(name, options, host)
        elif not host.info.default_voice and speaker == Speaker("default"):
            raise InvalidOption(
                f"the {host.info.title} came without a voice of its own: name a recording",
                param="reference_audio_filename",
            )
        check_watermark(options.disable_watermark, host.info)
        return speaker, options, host

    def _stock(self, name: str, options: SpeechOptions, host: EngineHost) -> tuple[Speaker, EngineHost]:
        """An engine's own voice of that name. Who leaves the model open may name a voice of the built-in engine."""
        try:
            return self.voices.stock(name, options.language, host.info), host
        except NotFound:
            if self.engines.get(AUTO, options.language or DEFAULT_LANGUAGE) is not host or options.model in MODELS[1:]:
                raise
            builtin = self.engines.get(BUILTIN)
            return self.voices.stock(name, options.language, builtin.info), builtin

    def _filled(self, sent: SpeechOptions, speaker: Speaker) -> SpeechOptions:
        own = (f"default_parameters of the voice {speaker.name}", speaker.defaults)
        return with_defaults(sent, own, self._speech_defaults)

    def _host(self, model: str, any_model: bool = False, language: str | None = None) -> EngineHost:
        get = self.engines.get_or_auto if any_model else self.engines.get
        return get(model, language or DEFAULT_LANGUAGE)

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
