"""What a program asks of a server, request by request, and what must come back for it to work: the tests replay it, and
`doctor` does. Nothing here knows how a request is sent.
"""

import json
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from chatterbox_plus.audio.formats import FORMATS

PATIENCE_S = 5.0  # until something is heard: Home Assistant's Voice PE waits no longer
_MAX_SAID_CHARS = 200


class Fault(Exception):
    """What is wrong with an answer, for a person; and how it can be mended."""

    def __init__(self, problem: str, mend: str) -> None:
        super().__init__(problem)
        self.problem, self.mend = problem, mend


@dataclass(frozen=True)
class Answer:
    """headers: names in lower case. first_s, whole_s: from asking until the first byte of the body, and the last."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    first_s: float = 0.0
    whole_s: float = 0.0

    @property
    def json(self) -> Any:
        """None for what is no JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    @property
    def said(self) -> str:
        """The server's own words of what is wrong."""
        told = self.json
        if isinstance(told, dict):
            error = told.get("error", told.get("detail"))
            error = error.get("message", error) if isinstance(error, dict) else error
            return str(error)[:_MAX_SAID_CHARS]
        return self.body.decode("utf-8", "replace").strip()[:_MAX_SAID_CHARS] or "nothing"


Check = Callable[[Answer], Any]
"""What the program goes on with. Raises Fault."""


@dataclass(frozen=True)
class Step:
    """One request. what: "lists the voices". path: below the server's address. params: of the query.

    key: whether the program shows its key here. takes_key: whether it has a field for one at all.
    """

    what: str
    method: str
    path: str
    check: Check
    json: Any = None
    params: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    key: bool = True
    takes_key: bool = True


Script = Generator[Step, Any, None]
"""Yields requests, and gets what their checks gave; None where one failed."""


@dataclass(frozen=True)
class Place:
    """url: the server's address, without /v1. page: where SillyTavern's page is, from which a browser asks."""

    url: str
    page: str


@dataclass(frozen=True)
class Client:
    """A program. name: one word. title: as people know it."""

    name: str
    title: str
    script: Callable[[Place], Script]


@dataclass(frozen=True)
class Outcome:
    """fault: None where all is well."""

    step: Step
    answer: Answer
    fault: Fault | None


def replay(client: Client, place: Place, send: Callable[[Step], Answer]) -> Iterator[Outcome]:
    """Asks all that the program asks. send: raises what keeps it from asking at all."""
    script = client.script(place)
    told: Any = None
    while True:
        try:
            step = script.send(told)
        except StopIteration:
            return
        answer, fault = send(step), None
        try:
            told = step.check(_accepted(step, answer))
        except Fault as found:
            told, fault = None, found
        yield Outcome(step, answer, fault)


# What must come back


def anything(answer: Answer) -> bool:
    """A reply that says yes."""
    if not 200 <= answer.status < 300:
        raise Fault(f"the server answers {answer.status}: {answer.said}", "the server's log has more about it")
    return True


def audio(format: str) -> Check:
    """Audio that is what it says, and what was asked for."""
    wanted = FORMATS[format]

    def check(answer: Answer) -> int:
        anything(answer)
        media = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
        found = kind_of(answer.body)
        if not answer.body:
            raise Fault("the audio is empty", "the server's log has more about it")
        if format != "pcm" and found != wanted.media_type:
            told = f"says {media or 'nothing'}, but is {found or 'nothing that is known'}"
            raise Fault(
                f"the audio was to be {format} and {told}",
                "the program keeps it under a wrong name and cannot play it: what answers must make response_format, "
                "mp3 where none is sent",
            )
        if media not in (wanted.media_type, "application/octet-stream"):
            raise Fault(
                f"the audio is {format} and says {media or 'nothing'}", f"its Content-Type must be {wanted.media_type}"
            )
        return len(answer.body)

    return check


def soon(check: Check) -> Check:
    """The same, and heard in time."""

    def timed(answer: Answer) -> Any:
        told = check(answer)
        if answer.first_s > PATIENCE_S:
            raise Fault(
                f"nothing was heard for {answer.first_s:.1f} s: loudspeakers give up after {PATIENCE_S:g}",
                "take a smaller model, or load it before anybody asks (models.preload_models, POST /api/v1/warmup)",
            )
        return told

    return timed


def named(key: str) -> Check:
    """A JSON object with a list of objects under that key, each with id and name; the ids."""

    def check(answer: Answer) -> list[str]:
        found = _list(answer, key)
        if not all(isinstance(item, dict) and item.get("id") and item.get("name", item["id"]) for item in found):
            raise Fault(
                f"{key} in the list are not objects with id and name",
                "the program drops the list and shows names of its own: what answers must tell objects",
            )
        return [item["id"] for item in found]

    return check


def names(key: str) -> Check:
    """A JSON object with a list of texts under that key."""

    def check(answer: Answer) -> list[str]:
        found = _list(answer, key)
        if not all(isinstance(item, str) for item in found):
            raise Fault(f"{key} in the list are no texts", "what answers must tell names alone")
        return found

    return check


def refusal(answer: Answer) -> str:
    """A 4xx in OpenAI's form; its message."""
    if answer.status < 400:
        raise Fault(
            "what cannot be was answered with audio", "what answers must refuse it: another voice would be a surprise"
        )
    _clear(answer)
    told = answer.json
    error = told.get("error") if isinstance(told, dict) else None
    if isinstance(told, dict) and not isinstance(error, dict) and "detail" in told:
        raise Fault(
            'errors come as {"detail": …}, not in OpenAI\'s form',
            'the program cannot tell its user what is wrong: what answers must say {"error": {"message": …}}',
        )
    if not isinstance(error, dict) or not {"message", "type", "param", "code"} <= set(error):
        raise Fault(
            "the error is not in OpenAI's form", "what answers must say error with message, type, param and code"
        )
    return str(error["message"])


def plain_refusal(answer: Answer) -> str:
    """A 4xx that says why, in any form."""
    if answer.status < 400:
        raise Fault("what cannot be was answered with audio", "what answers must refuse it")
    _clear(answer)
    return answer.said


def events(answer: Answer) -> int:
    """OpenAI's two kinds of event; how many there were."""
    anything(answer)
    lines = [line.removeprefix("data:") for line in answer.body.decode("utf-8", "replace").splitlines() if line]
    try:
        told = [json.loads(line) for line in lines]
        kinds = [event["type"] for event in told]
        usage = told[-1].get("usage", {})
    except (ValueError, TypeError, KeyError, IndexError, AttributeError):
        raise Fault("the events are not JSON with a type", "what answers must speak OpenAI's events") from None
    if kinds[:-1] != ["speech.audio.delta"] * len(kinds[:-1]) or kinds[-1] != "speech.audio.done":
        raise Fault(f"there are other events than OpenAI's: {', '.join(dict.fromkeys(kinds))}", "the SDK stops at them")
    if not {"input_tokens", "output_tokens", "total_tokens"} <= set(usage):
        raise Fault("the last event has no usage", "what answers must end with usage and its three counts")
    return len(kinds)


def kind_of(data: bytes) -> str | None:
    """The media type of audio by how it begins, None for what cannot be told."""
    if data[:4] == b"RIFF" and data[8:12] == b"WAVE":
        return "audio/wav"
    if data[:4] == b"OggS":
        return "audio/ogg"
    if data[:4] == b"fLaC":
        return "audio/flac"
    if data[:3] == b"ID3":
        return "audio/mpeg"
    if len(data) > 1 and data[0] == 0xFF and data[1] & 0xE0 == 0xE0:
        return "audio/mpeg" if data[1] & 0x06 else "audio/aac"  # an ADTS frame has no layer
    return None


def _list(answer: Answer, key: str) -> list[Any]:
    anything(answer)
    told = answer.json
    found = told.get(key) if isinstance(told, dict) else None
    if not isinstance(found, list):
        raise Fault(f"there is no list of {key} in the reply", f'what answers must tell {{"{key}": […]}}')
    if not found:
        raise Fault(f"the list of {key} is empty", "store a recording, or install what the built-in engine needs")
    return found


def _clear(answer: Answer) -> None:
    if answer.status >= 500:
        raise Fault(
            f"what cannot be is answered with {answer.status}: {answer.said}",
            "the program takes it for a broken server: what answers must say 4xx",
        )


def _accepted(step: Step, answer: Answer) -> Answer:
    """The answer, unless it says that nobody like this program may ask, or that it asks at the wrong place."""
    if answer.status == 401:
        raise Fault(f"nobody gets in without the right key: {answer.said}", _KEYS[step.takes_key, step.key])
    if answer.status == 403:
        raise Fault(f"the server does not let this program in: {answer.said}", _let_in(step, answer))
    if answer.status == 429:
        raise Fault(f"too many requests: {answer.said}", "give this key a higher rate (keys add … --rate-limit)")
    if answer.status in (404, 405) and not _is_about_it(answer):
        raise Fault(
            f"there is nothing at {step.path} ({answer.status})",
            "is this the address of Chatterbox Plus? Give it without /v1, and with the path a proxy puts before it",
        )
    return answer


_KEYS = {
    (True, True): "type a key into the program (chatterbox-plus keys add NAME makes one), and show it here with --key",
    (True, False): "this program asks for its lists without its key: what answers must tell them to anybody",
    (False, False): "this program has no field for a key: serve it where no keys are asked for, or put a proxy between "
    "them that adds one",
}


def _let_in(step: Step, answer: Answer) -> str:
    if "TRUSTED_HOSTS" in answer.said:
        return "add the name by which the program calls the server to CHATTERBOX_TRUSTED_HOSTS"
    if "CORS_ORIGINS" in answer.said:
        if step.headers.get("Sec-Fetch-Mode") == "no-cors":
            return "open the program's page under the same host name as the server, or let it not stream"
        return f"add {step.headers.get('Origin', 'the page')} to CHATTERBOX_CORS_ORIGINS"
    return "use a key that may do this"


def _is_about_it(answer: Answer) -> bool:
    """Whether a 404 is about what was asked for, and not about the address."""
    told = answer.json
    if not isinstance(told, dict) or not {"error", "detail"} & set(told):
        return False
    return answer.said not in ("Not Found", "Method Not Allowed") and "nothing at" not in answer.said
