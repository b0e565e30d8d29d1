"""The OpenAPI document leaves nothing unsaid, and its examples run as they stand against the real server."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from chatterbox_plus.api.app import create_app
from chatterbox_plus.settings import Settings
from tests.live import LiveServer, live_server

Document = dict[str, Any]
FRAMEWORKS_WORDS = ("", "Successful Response", "Validation Error")
ROWS, BOOK = ("rows.csv", b"text\nHello.\n"), ("book.md", b"# One\n\nHello.\n")
FILE_FIELDS = {
    "/api/v1/voice": "voice_file",
    "/api/v1/voice/check": "voice_file",
    "/api/v1/vc_input": "vc_input_file",
    "/api/v1/vc": "input_audio",
    "/api/v1/vc/async": "input_audio",
    "/v1/audio/voices": "audio_sample",
    "/v1/audio/voice_consents": "recording",
}
TEXT_FILES = {"/api/v1/batch": ROWS, "/api/v1/batch/preview": ROWS, "/api/v1/book": BOOK, "/api/v1/book/preview": BOOK}
NEEDS_KEYS = {"/api/v1/keys"}  # a server that asks nobody for one has none, and says so
NOT_OF_STARTERS = {"type", "generation_info", "files"}  # the files of a fresh folder have no sidecar to tell them


@pytest.fixture(scope="module")
def document() -> Document:
    return create_app(Settings()).openapi()


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """A server of our own, for the examples change things; with the input and the pull that they name."""
    nowhere = {"HF_ENDPOINT": "http://127.0.0.1:1", "NO_PROXY": "127.0.0.1"}
    with live_server(tmp_path_factory.mktemp("examples"), env=nowhere) as running:
        recording = (running.data / "reference_audio" / "speaker1.wav").read_bytes()
        form = {"vc_input_file": ("interview.wav", recording)}
        assert requests.post(running.url + "/api/v1/vc_input", files=form, timeout=60).ok
        assert requests.post(running.url + "/api/v1/models/pull", json={"model": "nano"}, timeout=60).ok
        preset = {"options": {"speed_factor": 0.9}}
        assert requests.put(running.url + "/api/v1/presets/Calm narrator", json=preset, timeout=60).ok
        consent = running.data / "consents" / "cons_0123456789abcdef01234567.wav"
        consent.write_bytes(recording)
        consent.with_name(consent.name + ".json").write_text('{"name": "Narrator", "language": "en-US"}')
        yield running


@pytest.fixture(scope="module")
def task(furnished: LiveServer) -> str:
    """A task that has succeeded: nobody can guess the id of one."""
    reply = requests.post(furnished.url + "/api/v1/tts/async", json={"text": "Hello there. And goodbye."}, timeout=60)
    url = furnished.url + reply.json()["status_url"]
    deadline = time.monotonic() + 60
    while (told := requests.get(url, timeout=60).json())["success"] is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert told["success"], told
    return str(told["task_id"])


def operations(document: Document) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def resolved(schema: dict[str, Any], document: Document) -> dict[str, Any]:
    """The schema meant: behind its reference, and of "this or null" this."""
    for choice in schema.get("anyOf", []):
        if "$ref" in choice:
            return resolved(choice, document)
    name = schema.get("$ref", "").rpartition("/")[2]
    return document["components"]["schemas"][name] if name else schema


def examples(media: dict[str, Any], document: Document) -> list[Any]:
    """The examples of a body, wherever they are written."""
    if "example" in media:
        return [media["example"]]
    found = [example["value"] for example in media.get("examples", {}).values()]
    return found or resolved(media.get("schema", {}), document).get("examples", [])


def fields(value: Any) -> set[str]:
    """Those of an object, or of the objects in a list."""
    if isinstance(value, list):
        return {name for item in value if isinstance(item, dict) for name in item}
    return set(value)


def example_path(path: str, operation: dict[str, Any], task: str) -> str:
    path = path.replace("/tasks/{id}", f"/tasks/{task}")
    for parameter in operation.get("parameters", []):
        if parameter["in"] == "path":
            value = (parameter.get("examples") or parameter["schema"]["examples"])[0]
            path = path.replace("{" + parameter["name"] + "}", str(value))
    return path


def test_every_route_parameter_and_status_is_described(document: Document) -> None:
    silent = []
    for method, path, operation in operations(document):
        route = f"{method.upper()} {path}"
        if not (operation.get("summary") and operation.get("description")):
            silent.append(route)
        for parameter in operation.get("parameters", []):
            if not (parameter.get("description") or parameter["schema"].get("description")):
                silent.append(f"{route}: {parameter['name']}")
        for status, reply in operation["responses"].items():
            if reply.get("description", "") in FRAMEWORKS_WORDS:
                silent.append(f"{route}: {status}")
    assert not silent


def test_every_body_has_an_example_and_every_field_in_it_a_word(document: Document) -> None:
    silent = []
    for method, path, operation in operations(document):
        for kind, media in operation.get("requestBody", {}).get("content", {}).items():
            if not examples(media, document):
                silent.append(f"{method.upper()} {path}: {kind}")
            for name, field in resolved(media["schema"], document).get("properties", {}).items():
                if not (field.get("description") or resolved(field, document).get("description")):
                    silent.append(f"{method.upper()} {path}: {name}")
        for status, reply in operation["responses"].items():
            media = reply.get("content", {}).get("application/json")
            if status.startswith("2") and media is not None and not examples(media, document):
                silent.append(f"{method.upper()} {path}: {status}")
    assert not silent


def test_every_example_of_a_body_runs(furnished: LiveServer, document: Document, task: str) -> None:
    recording = (furnished.data / "reference_audio" / "speaker1.wav").read_bytes()
    ran = 0
    for method, path, operation in operations(document):
        url = furnished.url + example_path(path, operation, task)
        promised = next(int(status) for status in operation["responses"] if status.startswith("2"))
        for kind, media in operation.get("requestBody", {}).get("content", {}).items():
            for example in examples(media, document):
                if kind == "application/json":
                    reply = requests.request(method, url, json=example, timeout=60)
                elif kind == "multipart/form-data":
                    file = (FILE_FIELDS.get(path, "uploaded_files"), ("sent.wav", recording))
                    if path in TEXT_FILES:
                        file = ("file", TEXT_FILES[path])
                    stored_only = "uploaded_files" in file and "upload" not in example["request_json"]
                    parts = [(name, (None, value)) for name, value in example.items() if name != file[0]]
                    files = parts if stored_only else [*parts, file]
                    reply = requests.request(method, url, files=files, timeout=60)
                else:
                    reply = requests.request(method, url, data=example, timeout=60)
                promised = 409 if path in NEEDS_KEYS else promised
                assert reply.status_code == promised, (method, path, example, reply.text[:300])
                ran += 1
    assert ran >= 15


def test_the_example_of_a_reply_has_no_field_that_the_reply_lacks(
    furnished: LiveServer, document: Document, task: str
) -> None:
    asked = 0
    for method, path, operation in operations(document):
        media = operation["responses"].get("200", {}).get("content", {}).get("application/json")
        if method != "get" or media is None or path in NEEDS_KEYS:
            continue
        reply = requests.get(furnished.url + example_path(path, operation, task), timeout=60)
        assert reply.status_code == 200, (path, reply.text[:300])
        assert fields(examples(media, document)[0]) - NOT_OF_STARTERS <= fields(reply.json()), path
        asked += 1
    assert asked >= 15


def test_a_list_that_must_not_be_empty_is_described_so(document: Document) -> None:
    formats = document["components"]["schemas"]["SpeechOptions"]["properties"]["export_formats"]
    assert (formats["type"], formats["minItems"]) == ("array", 1)
    assert "minLength" not in formats


def test_audio_is_not_described_as_json(document: Document) -> None:
    for method, path in (("post", "/v1/audio/speech"), ("get", "/outputs/{path}")):
        assert "application/json" not in document["paths"][path][method]["responses"]["200"]["content"], path
