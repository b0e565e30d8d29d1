"""Requests that are wrong, and what each is answered: data, so that any server can be asked.

A server that is asked needs no more than the starter files: speaker1.wav in reference_audio/, intro.wav in outputs/.
"""

from dataclasses import dataclass, field
from typing import Any

TTS, VC, CONCAT, OPENAI = "/api/v1/tts", "/api/v1/vc", "/api/v1/concat", "/v1/audio/speech"
JSON = {"Content-Type": "application/json"}
INTRO = {"type": "server_file", "filename": "intro.wav"}


@dataclass(frozen=True)
class Bad:
    """One request. kwargs: as for `requests.request`. code: error_code, or OpenAI's `error.code`."""

    why: str
    method: str
    path: str
    status: int
    code: str
    kwargs: dict[str, Any] = field(default_factory=dict)


def _tts(why: str, status: int = 422, code: str = "VALIDATION_ERROR", query: str = "", **fields: Any) -> Bad:
    return Bad(f"tts: {why}", "POST", TTS + query, status, code, {"json": {"text": "Hi.", **fields}})


def _raw(path: str, why: str, data: Any, status: int, code: str, headers: dict[str, str] | None = None) -> Bad:
    return Bad(
        f"{path}: {why}", "POST", path, status, code, {"data": data, "headers": JSON if headers is None else headers}
    )


def _vc(why: str, status: int = 422, code: str = "VALIDATION_ERROR", query: str = "", **fields: Any) -> Bad:
    body = {"input_audio_source": "missing.wav", "target_voice_source": "speaker1.wav", **fields}
    return Bad(
        f"vc: {why}", "POST", VC + query, status, code, {"json": {k: v for k, v in body.items() if v is not None}}
    )


def _form(why: str, status: int, code: str = "VALIDATION_ERROR", *, files: Any = None, **fields: str) -> Bad:
    sent = {"input_audio": ("in.wav", b"RIFF")} if files is None else files
    data = {"target_voice_source": "speaker1.wav", **fields}
    kwargs = {"files": sent, "data": {name: value for name, value in data.items() if value}}
    return Bad(f"vc form: {why}", "POST", VC, status, code, kwargs)


def _concat(why: str, body: Any, status: int = 422, code: str = "VALIDATION_ERROR", query: str = "") -> Bad:
    return Bad(f"concat: {why}", "POST", CONCAT + query, status, code, {"json": body})


def _openai(why: str, status: int = 400, code: str = "validation_error", **fields: Any) -> Bad:
    body = {"model": "tts-1", "input": "Hi.", "voice": "alloy", **fields}
    return Bad(
        f"openai: {why}", "POST", OPENAI, status, code, {"json": {k: v for k, v in body.items() if v is not None}}
    )


_WAV = ("in.wav", b"RIFF")

BAD = [
    # Text to speech
    Bad("tts: no text", "POST", TTS, 422, "VALIDATION_ERROR", {"json": {}}),
    Bad("tts: no body", "POST", TTS, 422, "VALIDATION_ERROR"),
    _tts("empty text", text=""),
    _tts("blank text", text=" \n\t"),
    _tts("text is null", text=None),
    _tts("text is a list", text=["Hi."]),
    _tts("half a character", text="\ud800"),
    _tts("text too long", code="TEXT_TOO_LONG", text="a" * 10_001),
    _tts("seed below 0", seed=-1),
    _tts("seed over 32 bits", seed=2**32),
    _tts("seed is a word", seed="lucky"),
    _tts("seed with a fraction", seed=1.5),
    _tts("temperature too low", temperature=0.05),
    _tts("temperature too high", temperature=2.1),
    _tts("exaggeration below 0", exaggeration=-0.1),
    _tts("cfg_weight too high", cfg_weight=2.5),
    _tts("speed too low", speed_factor=0.4),
    _tts("speed too high", speed_factor=2.01),
    _tts("unknown speed library", speed_factor_library="sox"),
    _tts("no candidates", num_candidates_per_chunk=0),
    _tts("too many attempts", max_attempts_per_candidate=11),
    _tts("unknown Whisper", whisper_model_name="huge"),
    _tts("unknown normalisation", normalize_method="loud"),
    _tts("level above full scale", normalize_level=1),
    _tts("trim threshold too low", trim_threshold_ms=10),
    _tts("trim is a word", trim="perhaps"),
    _tts("no formats", export_formats=[]),
    _tts("unknown format", export_formats=["ogg"]),
    _tts("formats are a number", export_formats=3),
    _tts("formats are a word", export_formats="wav"),
    _tts("a format is a list", export_formats=[["wav"]]),
    _tts("a format is an object", export_formats=[{}]),
    _tts("text too long for a missing voice", code="TEXT_TOO_LONG", text="a" * 10_001, reference_audio_filename="no"),
    _tts("unknown mode", query="?response_mode=telepathy"),
    _tts("unknown return format", query="?return_format=opus"),
    _tts("two folders", project="a", folder="b"),
    _tts("a folder that is only dots", project="../.."),
    _tts("missing voice", 404, "RESOURCE_NOT_FOUND", reference_audio_filename="nobody.wav"),
    _tts("a voice outside", 403, "PERMISSION_DENIED", reference_audio_filename="../../etc/passwd"),
    _tts("an absolute voice", 403, "PERMISSION_DENIED", reference_audio_filename="/etc/passwd"),
    _tts("a folder outside", 403, "PERMISSION_DENIED", project="../elsewhere/x"),
    _raw(TTS, "broken JSON", '{"text": "Hi."', 422, "VALIDATION_ERROR"),
    _raw(TTS, "a list", "[]", 422, "VALIDATION_ERROR"),
    _raw(TTS, "a number that is none", '{"text": "Hi.", "temperature": NaN}', 422, "VALIDATION_ERROR"),
    _raw(TTS, "an infinite number", '{"text": "Hi.", "speed_factor": 1e999}', 422, "VALIDATION_ERROR"),
    _raw(TTS, "not UTF-8", b'{"text": "\xff"}', 400, "VALIDATION_ERROR"),
    _raw(TTS, "nested without end", "[" * 100_000, 400, "VALIDATION_ERROR"),
    _raw(TTS, "a number without end", '{"text": "Hi.", "seed": ' + "9" * 5000 + "}", 400, "VALIDATION_ERROR"),
    _raw(TTS, "JSON called text", '{"text": "Hi."}', 422, "VALIDATION_ERROR", {"Content-Type": "text/plain"}),
    _raw(TTS, "a form", {"text": "Hi."}, 422, "VALIDATION_ERROR", {}),
    _raw(TTS, "over 2 MB", b" " * (2**21 + 1), 413, "FILE_TOO_LARGE"),
    Bad("tts: GET", "GET", TTS, 405, "METHOD_NOT_ALLOWED"),
    # Voice conversion
    _vc("missing input", 404, "RESOURCE_NOT_FOUND"),
    _vc("no input named", input_audio_source=None),
    _vc("no target named", target_voice_source=None),
    _vc("input outside", 403, "PERMISSION_DENIED", input_audio_source="../secret.wav"),
    _vc("windows too short", chunk_sec=0),
    _vc("windows too long", chunk_sec=301),
    _vc("overlap too long", overlap_sec=5.5),
    _vc("overlap over the window", chunk_sec=1, overlap_sec=1.0),
    _vc("unknown format", export_formats=["avi"]),
    _vc("unknown mode", query="?response_mode=x"),
    _raw(VC, "neither JSON nor form", "x", 400, "VALIDATION_ERROR", {"Content-Type": "text/plain"}),
    _raw(VC, "no type at all", b"x", 400, "VALIDATION_ERROR", {}),
    _raw(VC, "broken JSON", "{", 422, "VALIDATION_ERROR"),
    _raw(VC, "a list", "[]", 422, "VALIDATION_ERROR"),
    _raw(VC, "nested without end", "[" * 100_000, 422, "VALIDATION_ERROR"),
    _raw(VC, "a form without its boundary", b"x", 400, "VALIDATION_ERROR", {"Content-Type": "multipart/form-data"}),
    _form("no target", 400, target_voice_source=""),
    _form("no input", 400, files={"other": _WAV}),
    _form("a text file", 400, "UNSUPPORTED_FORMAT", files={"input_audio": ("a.txt", b"x")}),
    _form("no extension", 400, "UNSUPPORTED_FORMAT", files={"input_audio": ("wav", b"x")}),
    _form("an empty file", 400, "INVALID_AUDIO", files={"input_audio": ("a.wav", b"")}),
    _form("text for the file", 400, files={"other": _WAV}, input_audio="x.wav"),
    _form("two inputs", 400, files=[("input_audio", _WAV), ("input_audio", _WAV)]),
    _form("file and name", 400, input_audio_source="in.wav"),
    _form("two targets", 400, files={"input_audio": _WAV, "target_voice": _WAV}),
    _form("formats of broken JSON", 400, export_formats='["wav"'),
    _form("unknown format", 422, export_formats="avi"),
    _form("window is a word", 422, chunk_sec="long"),
    _form("switch is a word", 422, disable_watermark="so"),
    _form("missing voice", 404, "RESOURCE_NOT_FOUND", target_voice_source="nobody.wav"),
    # Joining
    _concat("nothing", {}),
    _concat("a list", []),
    _concat("both lists", {"files": ["intro.wav", "a.wav"], "segments": ["intro.wav"]}),
    _concat("no files", {"files": []}),
    _concat("files are a word", {"files": "intro.wav"}),
    _concat("one file", {"files": ["intro.wav"]}),
    _concat("only silence", {"segments": ["(1s)"]}),
    _concat("a silence too long", {"files": ["intro.wav", "(15s)"]}),
    _concat("a silence too short", {"files": ["intro.wav", "(49ms)"]}),
    _concat("no silence", {"files": ["intro.wav", "(invalid)"]}),
    _concat("a silence in other digits", {"files": ["intro.wav", "(١s)"]}),
    _concat("a spaced silence", {"files": ["intro.wav", "( 1 s )"]}),
    _concat("a number among names", {"files": ["intro.wav", 5]}),
    _concat("an unknown kind", {"segments": [INTRO, {"type": "echo"}]}),
    _concat("an upload", {"segments": [INTRO, {"type": "upload", "index": 0}]}),
    _concat("a nameless file", {"segments": [INTRO, {"type": "server_file"}]}),
    _concat("two names", {"segments": [{**INTRO, "source": "outro.wav"}]}),
    _concat("crossfade too long", {"segments": [INTRO], "crossfade_ms": 5001}),
    _concat("crossfade said twice", {"segments": [INTRO], "crossfade_ms": 1, "processing": {"crossfade_ms": 2}}),
    _concat("processing is a word", {"segments": [INTRO], "processing": "loud"}),
    _concat("pause too long", {"segments": [INTRO], "pause_duration_ms": 3001}),
    _concat("pause varies over itself", {"segments": [INTRO], "pause_duration_ms": 100, "pause_variation_ms": 100}),
    _concat("unknown format", {"segments": [INTRO], "export_formats": ["m4b"]}),
    _concat("no formats", {"segments": [INTRO], "export_formats": []}),
    _concat("unknown mode in the body", {"segments": [INTRO], "response_mode": "x"}),
    _concat("unknown return format", {"segments": [INTRO]}, query="?return_format=aiff"),
    _concat("a missing file", {"segments": [INTRO, "missing.wav"]}, 404, "RESOURCE_NOT_FOUND"),
    _concat("a file outside", {"segments": [INTRO, "../../etc/passwd.wav"]}, 403, "PERMISSION_DENIED"),
    # OpenAI's routes
    _openai("no input", input=None),
    _openai("empty input", input=""),
    _openai("no voice", voice=None),
    _openai("no model", model=None),
    _openai("a voice that is a number", voice=3),
    _openai("a voice without id", voice={"name": "alloy"}),
    _openai("unknown voice", 404, "resource_not_found", voice="nobody"),
    _openai("unknown format", response_format="midi"),
    _openai("too slow", speed=0.2),
    _openai("too fast", speed=4.1),
    _openai("unknown stream format", stream_format="morse"),
    _openai("input too long", code="text_too_long", input="a" * 10_001),
    _openai("instructions too long", instructions="a" * 4097),
    _openai("a wild temperature", temperature=9),
    _raw(OPENAI, "broken JSON", "{", 400, "validation_error"),
    Bad("openai: GET", "GET", OPENAI, 405, "method_not_allowed"),
    Bad("openai: unknown model", "GET", "/v1/models/none", 404, "resource_not_found"),
    Bad("openai: unknown route", "GET", "/v1/nothing", 404, "resource_not_found"),
    # Files and the rest
    Bad("outputs: missing", "GET", "/outputs/none.wav", 404, "RESOURCE_NOT_FOUND"),
    Bad("outputs: the folder", "GET", "/outputs/", 404, "RESOURCE_NOT_FOUND"),
    Bad("outputs: outside", "GET", "/outputs/%2e%2e/reference_audio/speaker1.wav", 403, "PERMISSION_DENIED"),
    Bad("outputs: outside, on Windows", "GET", "/outputs/..%5c..%5cwin.ini", 403, "PERMISSION_DENIED"),
    Bad("outputs: a zero byte", "GET", "/outputs/a%00.wav", 422, "VALIDATION_ERROR"),
    Bad("outputs: posted to", "POST", "/outputs/intro.wav", 405, "METHOD_NOT_ALLOWED"),
    Bad("an unknown route", "GET", "/api/v1/nothing", 404, "RESOURCE_NOT_FOUND"),
    Bad("an unknown page", "GET", "/etc/passwd", 404, "RESOURCE_NOT_FOUND"),
    Bad("health: POST", "POST", "/api/v1/health", 405, "METHOD_NOT_ALLOWED"),
    Bad("a foreign host", "GET", "/api/v1/health", 403, "PERMISSION_DENIED", {"headers": {"Host": "evil.example"}}),
    Bad("a foreign page", "POST", TTS, 403, "PERMISSION_DENIED", {"json": {}, "headers": {"Origin": "http://evil.example"}}),
]  # fmt: skip
