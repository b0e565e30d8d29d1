"""What a task is about, in a line, for lists: the beginning of what is said, or the files that are worked on."""

import re
from collections.abc import Mapping
from itertools import islice
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from chatterbox_plus.jobs.states import Kind

MOST_CHARS = 140
_NAMES = 6  # of a join's files; more fit into no line
_READ = 2000  # characters of a text: blanks may go
_UNSHOWN = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")  # PostgreSQL takes no NUL, nobody half a surrogate pair


def about(kind: Kind, spec: Mapping[str, Any]) -> str | None:
    """At most MOST_CHARS characters; None where a task's name says it all (books, batches)."""
    options, uploads = spec.get("options") or {}, spec.get("uploads") or {}
    if kind is Kind.TTS:
        told = str(options.get("text") or "")[:_READ]
    elif kind is Kind.VC:
        source = uploads.get("input_audio") or options.get("input_audio_source") or ""
        target = uploads.get("target_voice") or options.get("target_voice_source") or ""
        told = " → ".join(filter(None, map(_last, (source, target))))
    elif kind is Kind.CONCAT:
        files = (_last(one["filename"]) for one in options.get("segments") or () if one.get("filename"))
        told = ", ".join(islice(files, _NAMES))
    else:
        return None
    line = " ".join(_UNSHOWN.sub(" ", told).split())
    return (line if len(line) <= MOST_CHARS else line[: MOST_CHARS - 1].rstrip() + "…") or None


def _last(name: str) -> str:
    """Of a path or a URL what it ends with: a URL may have secrets before its host and behind its question mark."""
    if "://" not in name:
        return PurePosixPath(name).name
    try:
        found = urlsplit(name)
    except ValueError:  # it will be refused
        return ""
    return PurePosixPath(found.path).name or found.hostname or ""
