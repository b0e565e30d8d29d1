"""The three ways in which a body of /api/v1/concat may say the same thing, and with uploads /api/v1/concat/mixed.

1. `{"segments": [{"type": "server_file", "filename": "a.wav"}, …], "processing": {"crossfade_ms": 100}, …}`
2. `{"files": ["(1s)", "a.wav", "(500ms)", "b.wav"], "crossfade_ms": 100, …}`
3. `{"segments": ["a.wav", "b.wav"], "crossfade_ms": 100, …}`
"""

import re
from collections.abc import Mapping
from typing import Any

from chatterbox_plus.api.errors import checked
from chatterbox_plus.errors import BadRequest, InvalidOption
from chatterbox_plus.synthesis.options import (
    MAX_SEGMENTS,
    MAX_SILENCE_MS,
    MIN_SILENCE_MS,
    SILENCE_TOKEN,
    FileSegment,
    JoinOptions,
    Segment,
    SilenceSegment,
    UploadSegment,
)

_LISTS = ("files", "segments")
_PARENTHESES = re.compile(r"^\(.*\)$", re.DOTALL)


def parse(body: Mapping[str, Any], *, uploads: bool = False) -> tuple[JoinOptions, str | None]:
    """What to join and how, and the response_mode if the body has one. uploads: whether it may name files sent along.

    Raises InvalidOption for a body that is none of the three, RequestValidationError for options out of range.
    """
    present = [name for name in _LISTS if body.get(name) is not None]
    if len(present) != 1:
        raise InvalidOption("Send exactly one of `files` and `segments`", param="segments")
    name = present[0]
    items = body[name]
    if not isinstance(items, list):
        raise InvalidOption(f"{name} must be a list", param=name)
    if len(items) > MAX_SEGMENTS:  # before each of them is looked at
        raise InvalidOption(f"{name} must have at most {MAX_SEGMENTS} items, not {len(items)}", param=name)
    segments = [_segment(item, f"{name}.{index}", uploads) for index, item in enumerate(items)]
    silences = sum(isinstance(segment, SilenceSegment) for segment in segments)
    if silences == len(segments):
        raise InvalidOption("At least one audio file is needed", param=name)
    if name == "files" and not silences and len(segments) < 2:
        raise InvalidOption("At least two audio files are needed", param=name)
    options = _options(body)
    mode = options.pop("response_mode", None)
    if mode is not None and not isinstance(mode, str):
        raise InvalidOption("response_mode must be stream, url or live", param="response_mode")
    return checked(JoinOptions, {**options, "segments": tuple(segments)}), mode


def _options(body: Mapping[str, Any]) -> dict[str, Any]:
    """The flat options and those in `processing` as one."""
    flat = {name: value for name, value in body.items() if name not in (*_LISTS, "processing")}
    nested = body.get("processing")
    if nested is None:
        return flat
    if not isinstance(nested, dict):
        raise InvalidOption("processing must be an object", param="processing")
    for name, value in nested.items():
        if name in flat and (flat[name] != value or isinstance(flat[name], bool) != isinstance(value, bool)):
            raise InvalidOption(f"{name} has one value in processing and another beside it", param=name)
    return {**flat, **{name: value for name, value in nested.items() if name not in _LISTS}}


def _segment(item: Any, where: str, uploads: bool) -> Segment:
    if isinstance(item, str):
        return _named(item, where)
    if not isinstance(item, dict):
        raise InvalidOption(f"{where} must be a name or an object", param=where)
    kind = item.get("type", "silence" if "duration_ms" in item else "server_file")
    name = _name(item, where)
    if kind == "server_file":
        if not name:
            raise InvalidOption(f"{where}: a server_file needs its filename", param=where)
        return FileSegment(filename=name)
    if kind == "silence":
        if name is not None:
            return _silence(name.strip(), where)
        return _silence_ms(item.get("duration_ms"), where)
    if kind == "upload" and uploads:
        return _upload(item.get("index"), where)
    if kind == "upload":
        raise InvalidOption(f"{where}: uploads belong to /api/v1/concat/mixed", param=where)
    kinds = "server_file, upload or silence" if uploads else "server_file or silence"
    raise InvalidOption(f"{where}: type must be {kinds}", param=where)


def _upload(index: Any, where: str) -> UploadSegment:
    if index is None:
        raise BadRequest("Upload segments must specify index field", param=where)
    if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < MAX_SEGMENTS:
        raise InvalidOption(f"{where}: index must be a whole number, 0 for the first file", param=where)
    return UploadSegment(index=index)


def _name(item: Mapping[str, Any], where: str) -> str | None:
    """`filename` or its synonym `source`."""
    names = [item[key] for key in ("filename", "source") if item.get(key) is not None]
    if any(not isinstance(name, str) for name in names):
        raise InvalidOption(f"{where}: filename must be a string", param=where)
    if len(set(names)) > 1:
        raise InvalidOption(f"{where}: filename and source name the same thing and differ", param=where)
    return names[0] if names else None


def _named(item: str, where: str) -> Segment:
    text = item.strip()
    if not text:
        raise InvalidOption(f"{where} is empty", param=where)
    return _silence(text, where) if _PARENTHESES.match(text) else FileSegment(filename=item)


def _silence(token: str, where: str) -> SilenceSegment:
    match = SILENCE_TOKEN.match(token)
    if match is None:
        shown = token if len(token) <= 40 else token[:40] + "…"
        raise InvalidOption(f"Not a silence: {shown}. Write (1.5s) or (500ms)", param=where)
    number, unit = match.groups()
    duration_ms = float(number[:20]) * (1000 if unit == "s" else 1)
    _check_range(duration_ms, token, where)
    return SilenceSegment(duration_ms=round(duration_ms), notation=token)


def _silence_ms(duration_ms: Any, where: str) -> SilenceSegment:
    if isinstance(duration_ms, bool) or not isinstance(duration_ms, int | float):
        raise InvalidOption(f"{where}: a silence needs duration_ms, a number", param=where)
    _check_range(duration_ms, f"({duration_ms}ms)", where)
    return SilenceSegment(duration_ms=round(duration_ms), notation=f"({round(duration_ms)}ms)")


def _check_range(duration_ms: float, shown: str, where: str) -> None:
    if not MIN_SILENCE_MS <= duration_ms <= MAX_SILENCE_MS:
        raise InvalidOption(f"Silence duration must be between 50ms and 10s: {shown[:40]}", param=where)
