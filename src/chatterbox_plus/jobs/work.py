"""What the kinds of tasks do, each in a few lines: everything hard is the studio's."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from chatterbox_plus.errors import NotFound, StorageAway
from chatterbox_plus.jobs.edits import edits_of
from chatterbox_plus.jobs.files import TaskFiles
from chatterbox_plus.jobs.records import Task
from chatterbox_plus.jobs.states import EventType, Kind
from chatterbox_plus.jobs.worker import Hand
from chatterbox_plus.library import changes
from chatterbox_plus.synthesis.commission import Commission
from chatterbox_plus.synthesis.options import ConversionOptions, JoinOptions, SpeechOptions
from chatterbox_plus.synthesis.results import Result
from chatterbox_plus.synthesis.studio import Studio

SEED = "seed"  # in a spec: used where the request names none
OPTIONS = "options"  # in a spec: what was sent, and nothing that was not
PLACES = "passage_times"  # in a result: where each passage begins and ends in the finished sound, in seconds
UPLOADS = "uploads"  # in a spec: field → name, of files that were sent along

_log = logging.getLogger(__name__)

Kinds = Mapping[Kind, Callable[[Studio, Hand], Mapping[str, Any]]]


class Workbench:
    """Does tasks of every kind. Thread-safe."""

    def __init__(
        self,
        studio: Studio,
        files: TaskFiles,
        more: Kinds | None = None,
        made: Callable[[Result], None] = lambda result: None,
    ) -> None:
        """files: what was sent along with tasks. more: kinds with rooms of their own. made: told of every result."""
        self._studio, self._files, self._made = studio, files, made
        self._kinds: dict[Kind, Callable[[Studio, Hand], Mapping[str, Any]]] = {
            Kind.TTS: self._speak,
            Kind.VC: self._convert,
            Kind.CONCAT: self._join,
            **(more or {}),
        }

    def do(self, hand: Hand) -> Mapping[str, Any]:
        """See `worker.Work`."""
        studio = self._studio.within(hand.task.project)
        return self._kinds[hand.task.kind](studio, hand)

    def discard(self, task: Task, result: Mapping[str, Any]) -> None:
        """Removes what was made for a task that nobody wants any more."""
        outputs = self._studio.library.outputs
        paths = [file["path"].removeprefix("outputs/") for file in result.get("output_files", ())]
        try:
            changes.delete(outputs, filter(None, map(outputs.known, paths)))
        except StorageAway as away:
            _log.warning("what was made for the task %s stays: %s", task.id, away.message)

    def _speak(self, studio: Studio, hand: Hand) -> Mapping[str, Any]:
        task = hand.task
        options = SpeechOptions.model_validate(task.spec[OPTIONS])

        def passage(done: int, total: int, spoken_s: float) -> None:
            told = {"passage": done, "passages": total, "audio_seconds": round(spoken_s, 3)}
            hand.note(done, total, spoken_s, (EventType.PASSAGE, told))

        commission = commission_of(task, on_passage=passage)
        made = studio.speak(options, cancel=hand.cancel, commission=commission)
        self._made(made)
        extra: dict[str, Any] = {
            "generation_seed_used": made.seed,
            "passages": made.passages,
            PLACES: [list(place) for place in made.places],
        }
        if made.uncut:
            extra["uncut_file"] = made.uncut.link()
        if options.timestamps:
            extra |= {"words": [asdict(word) for word in made.words], "words_estimated": made.words_estimated}
        return told_of(made, extra)

    def _convert(self, studio: Studio, hand: Hand) -> Mapping[str, Any]:
        task = hand.task
        options = ConversionOptions.model_validate(task.spec[OPTIONS])
        sent: Mapping[str, str] = task.spec.get(UPLOADS, {})
        given: dict[str, Any] = {}
        if "input_audio" in sent:
            given |= {"source": self._file(task, "input_audio"), "source_name": sent["input_audio"]}
        if "target_voice" in sent:
            given["target"] = self._file(task, "target_voice")
        made = studio.convert(
            options,
            cancel=hand.cancel,
            progress=_seconds(hand),
            commission=commission_of(task),
            **given,
        )
        self._made(made)
        return told_of(made, {})

    def _join(self, studio: Studio, hand: Hand) -> Mapping[str, Any]:
        options = JoinOptions.model_validate(hand.task.spec[OPTIONS])
        made = studio.join(options, cancel=hand.cancel, progress=_steps(hand), commission=commission_of(hand.task))
        self._made(made)
        return told_of(made, {"file_count": made.metadata["file_count"], "metadata": made.metadata})

    def _file(self, task: Task, field: str) -> Any:
        path = self._files.path(task.id, field)
        if not path.is_file():
            raise NotFound("what was sent along with this task is not on this server any more", param=field)
        return path


def commission_of(task: Task, on_passage: Callable[[int, int, float], None] | None = None) -> Commission:
    """A task as the studio knows it."""
    return Commission(
        task.id,
        task.created,
        int(task.spec[SEED]),
        lane=1 + int(task.lane),
        name=task.name,
        on_passage=on_passage,
        edits=edits_of(task.spec),
    )


def told_of(made: Result, extra: Mapping[str, Any]) -> dict[str, Any]:
    """What came of it, as the database keeps it and replies show it."""
    files = [file.link() for file in made.files]
    return {
        "output_files": files,
        "output_url": files[0]["url"],
        "total_duration_seconds": round(made.duration_s, 3),
        "processing_time_seconds": round(made.processing_s, 3),
        "model": made.model,
        "notes": list(made.notes),
        **extra,
    }


def _seconds(hand: Hand) -> Callable[[float, float | None], None]:
    last = 0.0

    def note(done: float, total: float | None) -> None:
        nonlocal last
        event = None
        if done - last >= 1 or done == total:  # a conversion says it several times a second
            last = done
            event = (EventType.PROGRESS, {"done": round(done, 3), "total": total and round(total, 3)})
        hand.note(done, total, done, event)

    return note


def _steps(hand: Hand) -> Callable[[float, float | None], None]:
    """A join looks at every file, and then at it again: how much sound that is says nothing."""

    def note(done: float, total: float | None) -> None:
        hand.note(done, total, 0.0, (EventType.PROGRESS, {"done": done, "total": total}))

    return note
