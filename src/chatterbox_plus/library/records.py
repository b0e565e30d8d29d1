"""What is known about stored files. Reading is tolerant: a person or another program may have written the sidecar."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from chatterbox_plus.library.naming import without_audio_suffix


def timestamp(when: datetime | None = None) -> str:
    """ISO 8601 in UTC with Z and microseconds; now, unless told. A naive time is local."""
    moment = datetime.now(UTC) if when is None else when.astimezone(UTC)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


@dataclass(frozen=True)
class Voice:
    """A recording that speech can sound like, and what its sidecar says."""

    path: Path
    url: str  # below reference_audio/, forward slashes: usable as reference_audio_filename
    key: tuple[str, int, int]  # url, mtime in ns, bytes: another key, another content
    name: str
    description: str
    tags: tuple[str, ...] = ()
    default_parameters: Mapping[str, Any] = field(default_factory=dict)  # as stored, null ones left out; not validated
    created_date: str | None = None
    last_used: str | None = None
    usage_count: int = 0

    @classmethod
    def of(cls, path: Path, url: str, sidecar: Mapping[str, Any]) -> "Voice":
        """Whatever the sidecar lacks or has in the wrong type gets the default. Raises OSError if the file is gone."""
        stat = path.stat()
        name = text_of(sidecar.get("name")) or without_audio_suffix(path.name)
        parameters = sidecar.get("default_parameters")
        return cls(
            path=path,
            url=url,
            key=(url, stat.st_mtime_ns, stat.st_size),
            name=name,
            description=text_of(sidecar.get("description")) or f"Voice file: {name}",
            tags=tags_of(sidecar.get("tags")),
            default_parameters=(
                {k: v for k, v in parameters.items() if v is not None} if isinstance(parameters, Mapping) else {}
            ),
            created_date=text_of(sidecar.get("created_date")),
            last_used=text_of(sidecar.get("last_used")),
            usage_count=usage_count(sidecar),
        )


@dataclass(frozen=True)
class Generation:
    """The sidecar of one generation, shared by its files."""

    type: Literal["tts", "vc", "concat", "book"]
    parameters: Mapping[str, Any]  # as asked for, with the actual seed
    generation_info: Mapping[str, Any]  # processing_time_seconds, seed_used, …
    files: Mapping[str, str]  # format → file name
    extra: Mapping[str, Any] = field(default_factory=dict)  # source_files, segments, source_files_info, words
    when: datetime | None = None  # None: now

    def as_json(self) -> dict[str, Any]:
        return {
            "type": self.type,
            "parameters": dict(self.parameters),
            "generation_info": dict(self.generation_info),
            "files": dict(self.files),
            **self.extra,
            "timestamp": timestamp(self.when),
        }


def usage_count(sidecar: Mapping[str, Any]) -> int:
    """How often the voice was used; 0 for anything that is no count."""
    return int(finite(sidecar.get("usage_count")) or 0)


def finite(value: object, *, above: float = 0.0) -> float | None:
    """A number of at least `above`, None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) and number >= above else None


def text_of(value: Any) -> str | None:
    """Text with something in it, else None."""
    return value if isinstance(value, str) and value.strip() else None


def tags_of(value: Any) -> tuple[str, ...]:
    """From a list or a comma separated text, without repeats."""
    if isinstance(value, str):
        value = value.split(",")
    if not isinstance(value, list):
        return ()
    return tuple(dict.fromkeys(tag.strip() for tag in value if isinstance(tag, str) and tag.strip()))
