"""What only the house can tell of the rows of a batch: whether the voices and models they name are there."""

from collections.abc import Iterable
from typing import Any

from chatterbox_plus.errors import PlusError
from chatterbox_plus.jobs.batch_input import MAX_PROBLEMS, InvalidRows, Row, RowProblem
from chatterbox_plus.synthesis.options import SpeechOptions
from chatterbox_plus.synthesis.studio import Studio

_SHORT_CHARS = 1000  # of a text that no server would refuse for its length


def check_rows(studio: Studio, rows: Iterable[Row]) -> None:
    """Raises InvalidRows for voices, models and languages that are not there, and texts that are too long."""
    problems: list[RowProblem] = []
    known: dict[tuple[Any, ...], PlusError | None] = {}
    for row in rows:
        options = SpeechOptions.model_validate(row.options)
        who = (options.reference_audio_filename, options.language, options.model, len(options.text) > _SHORT_CHARS)
        if who not in known or who[-1]:
            try:
                studio.check_speech(options, plan=False)
                known[who] = None
            except PlusError as error:
                known[who] = error
        wrong = known[who]
        if wrong is not None:
            problems.append(RowProblem(row.line or row.number, wrong.param or "", wrong.message))
        if len(problems) >= MAX_PROBLEMS:
            break
    if problems:
        raise InvalidRows(problems)
