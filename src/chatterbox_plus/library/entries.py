"""One stored file as lists see it: what they filter, order and show, without the rest of its sidecar."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from chatterbox_plus.library.naming import nfc, without_audio_suffix
from chatterbox_plus.library.records import finite, tags_of, text_of, usage_count

GENERATION_TYPES = ("tts", "vc", "concat", "book")
UNKNOWN = "unknown"  # the type of an output that nothing tells
_SAID_CHARS = 2000  # of a spoken text that can be searched: every entry is in memory
_SIDECAR_SLACK_NS = 2_000_000_000  # a sidecar is written with its audio; file systems know times to 2 s at worst


class Stat(NamedTuple):
    """What tells one state of a file from another."""

    mtime_ns: int
    size: int  # bytes
    inode: int


@dataclass(frozen=True, slots=True)
class Entry:
    """An audio file in a store."""

    path: str  # below the store's root, forward slashes
    stat: Stat
    created: datetime  # UTC; as the sidecar says, else when the file was last written
    type: str  # tts, vc, concat or unknown
    name: str  # what people call it; by default the file's name without its extension
    words: str  # what a search looks through: path, name, description, tags and text, in one case
    said: str  # the beginning of the text that was spoken, in one case
    tags: tuple[str, ...]
    usage_count: int
    owner: str | None  # the project whose voice it is
    duration_s: float | None
    rate: int | None  # Hz
    measured: bool  # whether duration_s is all that can be known; else somebody has to look into the file

    @classmethod
    def of(cls, path: str, stat: Stat, sidecar: Mapping[str, Any], sidecar_mtime_ns: int = 0) -> "Entry":
        file_name = path.rsplit("/", 1)[-1]
        name = text_of(sidecar.get("name")) or without_audio_suffix(file_name)
        tags = tags_of(sidecar.get("tags"))
        told = (text_of(sidecar.get("description")), text_of(sidecar.get("text")))
        duration_s, rate = _measures(file_name, stat, sidecar, sidecar_mtime_ns)
        return cls(
            path=path,
            stat=stat,
            created=moment(sidecar.get("created_date") or sidecar.get("timestamp")) or _written(stat.mtime_ns),
            type=_type(file_name, sidecar.get("type")),
            name=name,
            words=comparable("\n".join(filter(None, (path, name, *told, *tags)))),
            said=comparable(_spoken(sidecar.get("parameters"))[:_SAID_CHARS]),
            tags=tags,
            usage_count=usage_count(sidecar),
            owner=text_of(sidecar.get("owner")),
            duration_s=duration_s,
            rate=rate,
            measured=duration_s is not None,
        )

    @property
    def filename(self) -> str:
        return self.path.rsplit("/", 1)[-1]

    @property
    def folder(self) -> str:
        """ "" is the root."""
        return self.path.rpartition("/")[0]

    @property
    def format(self) -> str:
        """The extension, in lower case and without its dot."""
        return self.path[self.path.rfind(".") + 1 :].lower()

    @property
    def stem(self) -> str:
        """The path without its extension: all formats of one generation share it."""
        return self.path[: self.path.rfind(".")]


def comparable(text: str) -> str:
    """In one case and one spelling."""
    return nfc(text).casefold()


def moment(value: object) -> datetime | None:
    """An ISO 8601 date as UTC, None for anything else. Without an offset it is local: so the original wrote them."""
    if not isinstance(value, str):
        return None
    try:
        return datetime.fromisoformat(value.strip()).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _measures(file_name: str, stat: Stat, sidecar: Mapping[str, Any], mtime_ns: int) -> tuple[float | None, int | None]:
    """Seconds and Hz as the sidecar tells them, if it means the file as it is now."""
    if sidecar.get("file_size_bytes") == stat.size:
        rate = finite(sidecar.get("sample_rate"))
        return finite(sidecar.get("duration_seconds")), int(rate) if rate else None
    made, files = sidecar.get("generation_info"), sidecar.get("files")
    if not isinstance(made, Mapping) or not isinstance(files, Mapping) or file_name not in files.values():
        return None, None
    if stat.mtime_ns > mtime_ns + _SIDECAR_SLACK_NS:  # replaced since
        return None, None
    return finite(made.get("duration_seconds", made.get("total_duration_seconds"))), None


def _spoken(parameters: object) -> str:
    return text_of(parameters.get("text")) or "" if isinstance(parameters, Mapping) else ""


def _type(file_name: str, told: object) -> str:
    if told in GENERATION_TYPES:
        return str(told)
    prefix = file_name.partition("_")[0]
    return prefix if prefix in GENERATION_TYPES else UNKNOWN


def _written(mtime_ns: int) -> datetime:
    try:
        return datetime.fromtimestamp(mtime_ns / 1e9, UTC)
    except (ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(0, UTC)
