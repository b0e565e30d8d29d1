"""The programs people have, and what each of them asks: as read in their sources, autumn 2026."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from chatterbox_plus.audio.formats import OPENAI_FORMATS
from chatterbox_plus.bridges.replay import (
    Answer,
    Check,
    Client,
    Fault,
    Place,
    Script,
    Step,
    anything,
    audio,
    events,
    named,
    plain_refusal,
    refusal,
    soon,
)

TEXT = "Hello. This is a test."
MODEL, VOICE = "tts-1", "nova"
NOBODY = "a voice that nobody has"
_SPEECH, _VOICES = "/v1/audio/speech", "/v1/audio/voices"


def _said(**more: Any) -> dict[str, Any]:
    return {"model": MODEL, "input": TEXT, "voice": VOICE, **more}


def open_webui(_: Place) -> Script:
    """Its lists come without the key; it names no format and keeps what comes as .mp3; its address may lack /v1."""
    yield Step("lists the models", "GET", "/v1/audio/models", named("models"), key=False)
    yield Step("lists the voices", "GET", _VOICES, named("voices"), key=False)
    yield Step("speaks", "POST", _SPEECH, audio("mp3"), json=_said())
    yield Step("speaks with an admin's parameters", "POST", _SPEECH, audio("mp3"), json=_said(speed=1.2, lang="en"))
    yield Step("shows what is wrong", "POST", _SPEECH, refusal, json=_said(voice=NOBODY))
    without = "at an address without /v1"
    yield Step(f"lists the voices {without}", "GET", "/audio/voices", named("voices"), key=False)
    yield Step(f"speaks {without}", "POST", "/audio/speech", audio("mp3"), json=_said())


def sillytavern_openai(_: Place) -> Script:
    """It has the whole address of the route; voices are typed by hand, so that any may be misspelt."""
    for speed in (1, 0.25, 4):
        body = _said(response_format="mp3", speed=speed)
        yield Step(f"speaks at speed {speed}", "POST", _SPEECH, audio("mp3"), json=body)
    body = _said(response_format="mp3", speed=1, voice=NOBODY)
    yield Step("says that a voice is misspelt", "POST", _SPEECH, refusal, json=body)


def sillytavern_chatterbox(place: Place) -> Script:
    """A page in a browser asks; it has no field for a key."""
    page = _browser(place, cors=True)
    yield _page_step(place, "sees that the server is there", "GET", "/", anything)
    voices = yield _page_step(place, "lists the voices", "GET", "/get_predefined_voices", _predefined)
    clones = yield _page_step(place, "lists the stored voices", "GET", "/get_reference_files", _files)
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "cache-control,content-type"}
    yield _page_step(place, "asks whether it may ask", "OPTIONS", "/tts", anything, headers={**page, **asked})
    common = {"text": TEXT, "temperature": 0.8, "exaggeration": 0.5, "cfg_weight": 0.5, "speed_factor": 1}
    whole = {**common, "seed": 1, "language": "en", "split_text": True, "chunk_size": 120, "output_format": "wav"}
    one = (voices or ["S1"])[0]
    chosen = {"voice_mode": "predefined", "predefined_voice_id": one}
    yield _page_step(place, "speaks", "POST", "/tts", audio("wav"), json={**whole, **chosen})
    yield _page_step(
        place,
        "speaks though nobody chose a voice",
        "POST",
        "/tts",
        audio("opus"),
        json={**whole, "voice_mode": "predefined", "predefined_voice_id": "S1", "output_format": "opus"},
    )
    if clones:
        cloned = {"voice_mode": "clone", "reference_audio_filename": clones[0]}
        yield _page_step(place, "speaks in a stored voice", "POST", "/tts", audio("wav"), json={**whole, **cloned})
    query = {**common, "seed": -1, "language": "en", "output_format": "wav", **chosen}
    yield Step(
        "plays while it is made",
        "GET",
        "/tts-stream",
        soon(audio("wav")),
        params=query,
        headers=_browser(place, cors=False),
        key=False,
        takes_key=False,
    )
    wrong = {**whole, "voice_mode": "predefined", "predefined_voice_id": NOBODY}
    yield _page_step(place, "shows what is wrong", "POST", "/tts", plain_refusal, json=wrong)


def home_assistant(_: Place) -> Script:
    """openai_tts of HACS: tries the key with a full stop; opus where it streams; sends the user's own fields."""
    agent = {"User-Agent": "HomeAssistant-OpenAI-TTS"}
    probe = {"model": MODEL, "input": ".", "voice": "alloy", "response_format": "mp3"}
    yield Step("tries the key", "POST", _SPEECH, audio("mp3"), json=probe)
    yield Step("lists the voices", "GET", _VOICES, named("data"), params={"limit": 100}, headers=agent)
    extra = {"instructions": "Speak calmly.", "exaggeration": 0.4, "cfg_weight": 0.5, "stream": True, "chunk": 1}
    body = _said(response_format="mp3", speed=1.0, **extra)
    yield Step("speaks, with fields of the user's", "POST", _SPEECH, audio("mp3"), json=body, headers=agent)
    body = _said(response_format="opus", speed=1.0)
    yield Step("speaks while it is made", "POST", _SPEECH, soon(audio("opus")), json=body, headers=agent)


def llama_swap(_: Place) -> Script:
    """Waits until the server is well, then hands on what others ask; the model is a name of its own configuration."""
    yield Step("waits until it is there", "GET", "/api/v1/health", anything, key=False)
    yield Step("lists the voices", "GET", _VOICES, named("voices"), params={"model": "chatterbox"})
    yield Step("speaks", "POST", _SPEECH, audio("mp3"), json=_said(model="chatterbox"))


def openai_sdk(_: Place) -> Script:
    """Every format, events, a voice by its id, and errors that become its own exceptions."""
    agent = {"User-Agent": "OpenAI/Python", "Accept": "application/octet-stream", "X-Stainless-Lang": "python"}
    yield Step("lists the models", "GET", "/v1/models", _models)
    yield Step("speaks", "POST", _SPEECH, audio("mp3"), json=_said(), headers=agent)
    for format in OPENAI_FORMATS:
        body = _said(response_format=format)
        yield Step(f"speaks as {format}", "POST", _SPEECH, audio(format), json=body, headers=agent)
    yield Step("names a voice by its id", "POST", _SPEECH, audio("mp3"), json=_said(voice={"id": VOICE}), headers=agent)
    yield Step("takes events", "POST", _SPEECH, events, json=_said(stream_format="sse"), headers=agent)
    for what, wrong in (("a voice is not there", {"voice": NOBODY}), ("a field is wrong", {"speed": 5})):
        yield Step(f"is told that {what}", "POST", _SPEECH, refusal, json=_said(**wrong), headers=agent)


CLIENTS = (
    Client("open-webui", "Open WebUI", open_webui),
    Client("sillytavern", "SillyTavern, OpenAI Compatible", sillytavern_openai),
    Client("sillytavern-chatterbox", "SillyTavern, Chatterbox", sillytavern_chatterbox),
    Client("home-assistant", "Home Assistant, openai_tts", home_assistant),
    Client("llama-swap", "llama-swap", llama_swap),
    Client("openai", "OpenAI's SDK", openai_sdk),
)


def _page_step(place: Place, what: str, method: str, path: str, check: Check, **more: Any) -> Step:
    headers: Mapping[str, str] = more.pop("headers", _browser(place, cors=True))
    if method == "POST":
        headers = {**headers, "Cache-Control": "no-cache"}
    return Step(what, method, path, _shared(place, check), headers=headers, key=False, takes_key=False, **more)


def _browser(place: Place, *, cors: bool) -> dict[str, str]:
    """What a browser says of a request from that page. cors: whether by a script, else as the source of a sound."""
    ours, theirs = urlsplit(place.url), urlsplit(place.page)
    alike = ours.hostname == theirs.hostname  # a browser asks for the registrable domain: near enough here
    site = ("same-origin" if ours.netloc == theirs.netloc else "same-site") if alike else "cross-site"
    mode = {"Sec-Fetch-Mode": "cors", "Origin": place.page} if cors else {"Sec-Fetch-Mode": "no-cors"}
    return {"Sec-Fetch-Site": site, "Sec-Fetch-Dest": "empty" if cors else "audio", **mode}


def _shared(place: Place, check: Check) -> Check:
    """The same, of an answer that the browser lets the page read."""

    def readable(answer: Answer) -> Any:
        if answer.headers.get("access-control-allow-origin") not in ("*", place.page):
            raise Fault(
                f"the browser keeps the answer from the page {place.page}",
                f"add {place.page} to CHATTERBOX_CORS_ORIGINS, or say where the page is with --page",
            )
        return check(answer)

    return readable


def _predefined(answer: Answer) -> list[str]:
    found = _array(answer)
    if not all(isinstance(item, dict) and item.get("display_name") and item.get("filename") for item in found):
        raise Fault("the voices are not objects with display_name and filename", "what answers must tell objects")
    if len({item["display_name"] for item in found}) < len(found):
        raise Fault("two voices have the same display_name", "the program knows voices by that name only")
    return [item.get("voice_id") or item["filename"] for item in found]


def _files(answer: Answer) -> list[str]:
    found = _array(answer)
    if not all(isinstance(item, str) for item in found):
        raise Fault("the stored voices are no names", "what answers must tell texts")
    return found


def _models(answer: Answer) -> list[str]:
    anything(answer)
    told = answer.json
    found = told.get("data") if isinstance(told, dict) else None
    if not isinstance(found, list) or not all(isinstance(item, dict) and "id" in item for item in found):
        raise Fault("the models are not a list of objects with id", "what answers must tell OpenAI's form")
    return [item["id"] for item in found]


def _array(answer: Answer) -> list[Any]:
    anything(answer)
    found = answer.json
    if not isinstance(found, list):
        raise Fault("the reply is no list", "what answers must tell a JSON array")
    return found
