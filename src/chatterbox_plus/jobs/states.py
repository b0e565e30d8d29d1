"""What a task is and how it stands: the words that the API, the database and the workers share."""

from enum import IntEnum, StrEnum


class Status(StrEnum):
    """How a task stands."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether nothing more happens of itself."""
        return self in FINAL


FINAL = frozenset({Status.SUCCEEDED, Status.FAILED, Status.CANCELLED})
UNFINISHED = frozenset(Status) - FINAL


class Kind(StrEnum):
    """What a task does."""

    TTS = "tts"
    VC = "vc"
    CONCAT = "concat"
    BATCH = "batch"  # only the sum of its rows: they are tasks of their own
    BOOK = "book"


class Lane(IntEnum):
    """Who is served first: every interactive task before any batch one."""

    INTERACTIVE = 0
    BATCH = 1


class EventType(StrEnum):
    """What `GET /api/v1/tasks/{id}/events` tells."""

    QUEUED = "queued"
    STARTED = "started"
    PASSAGE = "passage"  # a passage of speech is done
    PROGRESS = "progress"  # some of a conversion or a join is done
    CHAPTER = "chapter"  # a chapter of a book is done
    ROW = "row"  # a row of a batch has ended
    WAITING = "waiting"  # for room on the disk
    PAUSED = "paused"
    RESUMED = "resumed"
    FINISHED = "finished"
