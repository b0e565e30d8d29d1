"""What is done to speech once it is spoken: speed, trimmed ends, shorter silences, loudness; in this order."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from threading import Event

from chatterbox_plus.audio.clip import Samples
from chatterbox_plus.audio.loudness import normalise
from chatterbox_plus.audio.splice import Cut, EdgeFinder, Envelope, KeepIntervals, keep_intervals
from chatterbox_plus.audio.stage import Chain, Stage, closing_after, through
from chatterbox_plus.audio.stretch import Stretch
from chatterbox_plus.errors import Cancelled
from chatterbox_plus.synthesis.options import SpeechOptions
from chatterbox_plus.synthesis.tape import Tape

TOLERANCE_DB = 0.5  # what EBU R128 allows a programme to be off its target

Listener = Callable[[Iterator[Samples]], None]


def whole_options(options: SpeechOptions) -> list[str]:
    """Names of the options that are on and are measured against the whole."""
    return [name for name in ("trim", "use_auto_editor", "normalize_audio") if getattr(options, name)]


class Finish:
    """The finishing of one speech. `run` may be used once; then `map_time` and `notes` are known.

    Speed changes flow through. Trimming, cutting silences and loudness are measured against the whole, so with any of
    them nothing comes out before everything has come in; memory stays flat all the same (a Tape).
    """

    def __init__(
        self, options: SpeechOptions, *, speed: float, rate: int, folder: Path, cancel: Event, lra_asked: bool = False
    ) -> None:
        """speed: 0.25-4.0. rate: Hz of the mono blocks. folder: for the tape. cancel: ends it with Cancelled.

        lra_asked: whether the client itself asked for a loudness range, and so is told when it is not met.
        """
        self._options, self._rate, self._folder = options, rate, folder
        self._cancel, self._lra_asked = cancel, lra_asked
        self._stretch = Stretch(rate, speed)
        self._later: list[Callable[[], Stage]] = []
        self.notes: list[str] = []

    @property
    def needs_whole(self) -> bool:
        return bool(whole_options(self._options))

    def run(self, blocks: Iterable[Samples], uncut: Listener | None = None) -> Iterator[Samples]:
        """Mono blocks in, mono blocks out. uncut: is played everything as it was before silences were cut."""
        stretched = through(self._stretch, blocks)
        if not self.needs_whole:
            yield from stretched
            return
        with Tape(self._folder) as tape:
            with closing_after(stretched):
                tape.record(stretched)
            if self._options.trim:
                self._trim(tape)
            if uncut:
                uncut(self._play(tape))
            if self._options.use_auto_editor:
                self._cut_silences(tape)
            if self._options.normalize_audio:
                self._level(tape)
            yield from self._play(tape)

    def map_time(self, t_s: float) -> float:
        """Where a moment of the speech as spoken lies in the finished audio, in seconds."""
        return Chain([self._stretch, *(make() for make in self._later)]).map_time(t_s)

    def _play(self, tape: Tape) -> Iterator[Samples]:
        for block in through(Chain([make() for make in self._later]), tape.play()):
            if self._cancel.is_set():
                raise Cancelled("the request was called off")
            yield block

    def _trim(self, tape: Tape) -> None:
        finder = EdgeFinder(self._rate)
        for block in self._play(tape):
            finder.push(block)
        interval, _ = finder.plan(self._options.trim_threshold_ms)
        self._later.append(lambda: Cut(interval, self._rate))

    def _cut_silences(self, tape: Tape) -> None:
        envelope = Envelope(self._rate)
        for block in self._play(tape):
            envelope.push(block)
        intervals = keep_intervals(
            envelope, self._rate, threshold=self._options.ae_threshold, margin_s=self._options.ae_margin
        )
        self._later.append(lambda: KeepIntervals(intervals, envelope.length, self._rate))

    def _level(self, tape: Tape) -> None:
        options = self._options
        plan = normalise(
            lambda: self._play(tape),
            self._rate,
            1,
            method=options.normalize_method,
            level=options.normalize_level,
            true_peak=options.normalize_tp,
            lra=options.normalize_lra,
        )
        self._later.append(lambda: plan.stage(self._rate, 1))
        unit = "LUFS" if options.normalize_method == "ebu" else "dBFS"
        if abs(plan.missed_by_db) > TOLERANCE_DB:
            reached = options.normalize_level - plan.missed_by_db
            self.notes.append(f"normalize_level could not be met under normalize_tp: reached {reached:.1f} {unit}")
        if self._lra_asked and plan.lra_over_lu > TOLERANCE_DB:
            self.notes.append(
                f"the loudness range is {plan.lra_over_lu:.1f} LU wider than normalize_lra: it is never compressed"
            )
