"""Two users on one real server: whatever route one of them tries, nothing of the other's is seen, changed or gone."""

import hashlib
import io
import json
import re
import time
import wave
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from chatterbox_plus.access.caller import Role
from chatterbox_plus.access.keys import KeyStore
from chatterbox_plus.api.app import create_app
from chatterbox_plus.settings import Settings
from tests.api.task_house import Receiver, receiver
from tests.live import live_server

MARK = "annasonly"
"""In the name of everything that is Anna's alone: Ben must never read it."""
ADMINISTRATION = {
    ("GET", "/api/v1/metrics"), ("GET", "/api/v1/resources"), ("POST", "/api/v1/cleanup"),
    ("GET", "/api/v1/cleanup/status"), ("GET", "/api/v1/errors/summary"), ("GET", "/api/v1/errors/recent"),
    ("GET", "/metrics"), ("GET", "/api/v1/keys"),
}  # fmt: skip
OF_KEYS: dict[tuple[str, str], list[dict[str, Any]]] = {
    ("POST", "/api/v1/keys"): [{"json": {"name": "boss"}}],
    ("DELETE", "/api/v1/keys/{id}"): [{"path": "nobody", "params": {"confirm": "true"}}],
}
OF_MODELS: dict[tuple[str, str], list[dict[str, Any]]] = {
    ("POST", "/api/v1/models/pull"): [{"json": {"model": "nothing"}}, {"json": {"model": "nano"}}],
    ("GET", "/api/v1/models/pulls/{name}"): [{"path": "nano"}],
    ("DELETE", "/api/v1/models/pulls/{name}"): [{"path": "nano"}],
    ("DELETE", "/api/v1/models/{name}"): [{"path": "nano", "params": {"confirm": "true"}}],
    ("POST", "/api/v1/models/{name}/unload"): [{"path": "builtin"}],
}
"""For admins, too."""
OPEN = {("GET", "/api/v1/voices/{path}"), ("PUT", "/api/v1/presets/{name}")}
"""What names something and may succeed: voices are everybody's, and a new preset is one's own."""


def tone_wav(seconds: float) -> bytes:
    """A low saw: mono, 16 bits, 8 kHz."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(
            b"".join((n % 80 * 200 - 8000).to_bytes(2, "little", signed=True) for n in range(int(8000 * seconds)))
        )
    return buffer.getvalue()


@dataclass(frozen=True)
class House:
    url: str
    data: Path
    keys: dict[str, str]
    output: str  # Anna's, below outputs/
    trash: str  # what restores a voice of hers
    tasks: dict[str, str]  # Anna's: a speech, a batch, one of its rows, a message about the speech, and a consent

    def ask(self, who: str, method: str, path: str, **more: Any) -> requests.Response:
        headers = {"x-api-key": self.keys[who], **more.pop("headers", {})}
        return requests.request(method, self.url + path, headers=headers, timeout=60, **more)

    def submitted(self, who: str, path: str, body: Any, headers: dict[str, str] | None = None) -> str:
        """The id of a new task."""
        sent = {"x-api-key": self.keys[who], **(headers or {})}
        reply = requests.post(self.url + path, json=body, headers=sent, timeout=60)
        assert reply.status_code == 202, reply.text
        return str(reply.json()["task_id"])

    def state(self) -> dict[str, str]:
        """Everything stored, but for what says how often and when something was used."""
        found = {}
        for folder in ("reference_audio", "vc_inputs", "outputs", "trash", "presets", "consents"):
            for path in sorted((self.data / folder).rglob("*")):
                if path.is_file():
                    found[path.relative_to(self.data).as_posix()] = hashlib.sha256(path.read_bytes()).hexdigest()
        return found


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("two")
    with live_server(folder, env={"CHATTERBOX_API_KEY_REQUIRED": "true"}) as server:
        store = KeyStore.at(server.data)
        keys = {name: store.add(name)[1] for name in ("anna", "ben")} | {"boss": store.add("boss", role=Role.ADMIN)[1]}
        store.close()
        house = House(server.url, server.data, keys, f"anna/{MARK}/speech.wav", "", {})
        while house.ask("boss", "GET", "/api/v1/config").status_code == 401:
            pass  # a running server knows of a key within a second
        made = house.ask(
            "anna", "POST", "/api/v1/tts?response_mode=url",
            json={"text": f"This is {MARK}.", "project": MARK, "export_formats": ["wav"]},
        )  # fmt: skip
        assert made.status_code == 200, made.text
        path = made.json()["output_files"][0]["path"].removeprefix("outputs/")
        assert path.startswith(f"anna/{MARK}/")
        files = {"vc_input_file": (f"{MARK}.wav", tone_wav(1.0))}
        assert house.ask("anna", "POST", "/api/v1/vc_input", files=files, data={"text": MARK}).status_code == 200
        voice = {"voice_file": ("annas.wav", tone_wav(2.0))}
        assert house.ask("anna", "POST", "/api/v1/voice", files=voice).status_code == 200
        other = {"voice_file": (f"{MARK}-gone.wav", tone_wav(2.0))}
        assert house.ask("anna", "POST", "/api/v1/voice", files=other).status_code == 200
        gone = house.ask("anna", "DELETE", f"/api/v1/voice/{MARK}-gone.wav", params={"confirm": "true"})
        assert house.ask("anna", "PUT", f"/api/v1/presets/{MARK}", json={"options": {"seed": 7}}).status_code == 200
        (server.data / "outputs" / "of-the-house.wav").write_bytes(tone_wav(0.5))
        with receiver() as told:
            tasks = annas_tasks(house, told) | annas_consent(house)
            yield House(server.url, server.data, keys, path, gone.json()["trash_id"], tasks)


def annas_tasks(house: House, told: Receiver) -> dict[str, str]:
    """All over, and told of."""
    spoken = {"text": f"Later, {MARK}.", "project": MARK, "export_formats": ["wav"], "webhook_url": told.url}
    speech = house.submitted("anna", "/api/v1/tts/async", spoken, {"Idempotency-Key": "first"})
    rows = {"items": [{"text": f"Row of {MARK}.", "name": f"{MARK}-row"}], "options": {"project": MARK}, "name": MARK}
    batch = house.submitted("anna", "/api/v1/batch", rows)
    for task in (speech, batch):
        ended(house, "anna", task)
    (message,) = told.about(speech)
    row = house.ask("anna", "GET", f"/api/v1/tasks/{batch}/rows").json()["tasks"][0]["task_id"]
    return {"speech": speech, "batch": batch, "row": row, "message": message[0]["webhook-id"]}


def annas_consent(house: House) -> dict[str, str]:
    files, data = {"recording": (f"{MARK}.wav", tone_wav(1.0))}, {"name": MARK, "language": "en"}
    return {"consent": house.ask("anna", "POST", "/v1/audio/voice_consents", files=files, data=data).json()["id"]}


def ended(house: House, who: str, task: str) -> dict[str, Any]:
    deadline = time.monotonic() + 60
    while (found := house.ask(who, "GET", f"/api/v1/tasks/{task}").json())["success"] is None:
        assert time.monotonic() < deadline, found
        time.sleep(0.05)
    assert found["success"] is True, found
    return dict(found)


def attempts(house: House) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """What Ben tries on each route. One try is the arguments of a request; `path` fills the route's own."""
    inside, voice = house.output.removeprefix("anna/"), {"voice_file": ("annas.wav", tone_wav(1.0))}
    names = [
        house.output,
        inside,
        inside.rpartition("/")[2],
        f"../anna/{inside}",
        f"anna/../anna/{inside}",
        "of-the-house.wav",
    ]
    inputs = [f"{MARK}.wav", f"anna/{MARK}.wav", f"../anna/{MARK}.wav", MARK]
    nothing: list[dict[str, Any]] = [{}]
    body = {"export_formats": ["wav"]}
    sure = {"confirm": "true"}
    ids = [house.tasks[name] for name in ("speech", "batch", "row")]
    task = [{"path": id} for id in ids]
    consent: list[dict[str, Any]] = [{"path": house.tasks["consent"]}]
    sample = {"audio_sample": ("annas.wav", tone_wav(1.0))}
    plans = [json.dumps({"segments": [{"type": "server_file", "source": name}]}) for name in names]
    return {
        ("POST", "/api/v1/tts"): [
            {"json": {"text": "x", **body, "project": folder}} for folder in ("../anna", f"../anna/{MARK}", "/anna")
        ],
        ("POST", "/api/v1/tts/async"): [
            {"json": {"text": "x", **body, "project": folder}} for folder in ("../anna", f"../anna/{MARK}", "/anna")
        ],
        ("POST", "/api/v1/batch"): [
            {"json": {"items": [{"text": "x", **body, "project": folder}]}} for folder in ("../anna", "/anna")
        ],
        ("POST", "/api/v1/book"): [{"json": {"text": "x", "project": folder}} for folder in ("../anna", "/anna")],
        ("POST", "/api/v1/batch/preview"): [
            {"json": {"items": [{"text": "x", "project": folder}]}} for folder in ("../anna", "/anna")
        ],
        ("POST", "/api/v1/book/preview"): [{"json": {"text": f"[voice: ../outputs/{house.output}] x"}}],
        **{
            ("POST", path): [
                {"json": {"input_audio_source": name, "target_voice_source": "speaker1", **body}} for name in inputs
            ]
            for path in ("/api/v1/vc", "/api/v1/vc/async")
        },
        **{
            ("POST", path): [{"json": {"segments": [name]}} for name in names]
            for path in ("/api/v1/concat", "/api/v1/concat/async")
        },
        ("GET", "/api/v1/tasks"): [{}, {"params": {"status": "succeeded"}}, {"params": {"kind": "batch"}}],
        ("GET", "/api/v1/tasks/events"): [
            {"params": {"seconds": 1}, "headers": {"Last-Event-ID": "1"}},
            *({"params": {"batch": id, "seconds": 1}} for id in ids),
        ],
        ("GET", "/api/v1/tasks/{id}"): task,
        ("DELETE", "/api/v1/tasks/{id}"): task,
        ("GET", "/api/v1/tasks/{id}/rows"): task,
        ("GET", "/api/v1/tasks/{id}/zip"): [*task, *({**one, "params": {"format": "wav"}} for one in task)],
        ("GET", "/api/v1/tasks/{id}/events"): [*task, *({**one, "params": {"after": 1}} for one in task)],
        ("POST", "/api/v1/tasks/{id}/pause"): task,
        ("POST", "/api/v1/tasks/{id}/resume"): task,
        ("POST", "/api/v1/tasks/{id}/retry"): task,
        ("POST", "/api/v1/tasks/{id}/render"): [{"path": id, "json": {}} for id in ids],
        ("GET", "/api/v1/tasks/{id}/passages"): task,
        ("PUT", "/api/v1/tasks/{id}/passages/{number}"): [{"path": [id, 1], "json": {"take": None}} for id in ids],
        ("GET", "/api/v1/tasks/{id}/passages/{number}/audio"): [{"path": [id, 1]} for id in ids],
        ("POST", "/api/v1/tasks/{id}/passages/{number}/retake"): [{"path": [id, 1], "json": {"seed": 7}} for id in ids],
        ("GET", "/api/v1/tasks/{id}/audio"): [*task, *({**one, "params": {"format": "mp3"}} for one in task)],
        ("GET", "/api/v1/tasks/{id}/deliveries"): task,
        ("POST", "/api/v1/tasks/{id}/deliveries/{delivery}/redeliver"): [
            {"path": [id, house.tasks["message"]]} for id in ids
        ],
        ("POST", "/api/v1/concat/mixed"): [{"files": {"request_json": (None, plan)}} for plan in plans],
        ("POST", "/v1/audio/speech"): [
            {"json": {"model": "x", "input": "x", "voice": f"../../outputs/{house.output}"}},
            {"json": {"model": "x", "input": "x", "voice": f"../vc_inputs/anna/{MARK}.wav"}},
        ],
        ("POST", "/tts"): [
            {"json": {"text": "x", "predefined_voice_id": f"../outputs/{house.output}"}},
            {"json": {"text": "x", "predefined_voice_id": "nova", "project": "../anna"}},
        ],
        ("GET", "/tts-stream"): [
            {"params": {"text": "x", "voice_mode": "clone", "reference_audio_filename": f"../outputs/{house.output}"}}
        ],
        ("GET", "/get_predefined_voices"): nothing,
        ("GET", "/get_reference_files"): nothing,
        ("POST", "/v1/audio/voices"): [
            {"files": sample, "data": {"name": "annas", "overwrite": "true"}},
            {"files": sample, "data": {"name": "bens", "consent": house.tasks["consent"]}},
        ],
        ("DELETE", "/v1/audio/voices/{voice_id}"): [{"path": name} for name in ("annas.wav", "speaker1.wav")],
        ("POST", "/v1/audio/voice_consents"): [{"files": {"recording": sample["audio_sample"]}, "data": {"name": "x"}}],
        ("GET", "/v1/audio/voice_consents"): [{}, {"params": {"after": house.tasks["consent"]}}],
        ("GET", "/v1/audio/voice_consents/{consent_id}"): consent,
        ("POST", "/v1/audio/voice_consents/{consent_id}"): [{**consent[0], "json": {"name": "Ben's now"}}],
        ("DELETE", "/v1/audio/voice_consents/{consent_id}"): consent,
        ("POST", "/api/v1/voice"): [{"files": voice, "data": {"overwrite": "true"}}, {"files": voice}],
        ("GET", "/api/v1/voices"): nothing,
        ("GET", "/api/v1/voices/folders"): nothing,
        ("GET", "/api/v1/voices/{path}"): [{"path": f"../outputs/{house.output}"}],
        ("GET", "/api/v1/voices/{path}/audio"): [{"path": f"../outputs/{house.output}"}],
        ("PUT", "/api/v1/voice/{path}/metadata"): [{"path": "annas.wav", "json": {"name": "Ben's now"}}],
        ("DELETE", "/api/v1/voice/{path}"): [{"path": name, "params": sure} for name in ("annas.wav", "speaker1")],
        ("DELETE", "/api/v1/voices"): [
            {"params": {**sure, **what}} for what in ({"all": "true"}, {"search": "annas"}, {"filenames": "annas.wav"})
        ],
        ("POST", "/api/v1/voice/check"): [{"files": voice}],
        ("GET", "/api/v1/trash"): nothing,
        ("POST", "/api/v1/trash/{id}/restore"): [{"path": house.trash}],
        ("DELETE", "/api/v1/trash/{id}"): [{"path": house.trash, "params": sure}],
        ("GET", "/api/v1/presets"): [{}, {"params": {"kind": "speech"}}],
        ("GET", "/api/v1/presets/{name}"): [
            {"path": name} for name in (MARK, f"anna%2F{MARK}", f"..%2Fanna%2F{MARK}")
        ],
        ("PUT", "/api/v1/presets/{name}"): [{"path": "bens", "json": {"options": {"seed": 8}}}],
        ("DELETE", "/api/v1/presets/{name}"): [{"path": MARK}],
        ("POST", "/api/v1/vc_input"): [
            {"files": {"vc_input_file": ("x.wav", tone_wav(1.0))}, "data": {"folder_path": folder, "overwrite": "1"}}
            for folder in ("../anna", "/anna")
        ],
        ("GET", "/api/v1/vc_inputs"): [{}, {"params": {"search": MARK}}, {"params": {"folder": "anna"}}],
        ("GET", "/api/v1/vc_inputs/folders"): nothing,
        ("GET", "/api/v1/vc_inputs/{path}"): [{"path": name} for name in inputs],
        ("GET", "/api/v1/vc_inputs/{path}/audio"): [{"path": name} for name in inputs],
        ("DELETE", "/api/v1/vc_input/{path}"): [{"path": name, "params": sure} for name in inputs],
        ("DELETE", "/api/v1/vc_inputs"): [
            {"params": {**sure, **what}} for what in ({"all": "true"}, {"folder": "anna"}, {"search": MARK})
        ],
        ("GET", "/api/v1/outputs"): [
            {}, {"params": {"search": MARK}}, {"params": {"q": MARK}}, {"params": {"project": "anna"}},
        ],
        ("GET", "/api/v1/outputs/folders"): nothing,
        ("GET", "/api/v1/outputs/zip"): [
            {},
            {"params": {"q": MARK}},
            {"params": {"project": "anna"}},
            *({"params": {"filenames": name}} for name in names),
        ],
        ("GET", "/api/v1/outputs/{path}/metadata"): [{"path": name} for name in names],
        ("POST", "/api/v1/outputs/{path}/link"): [{"path": name} for name in names],
        ("DELETE", "/api/v1/output/{path}"): [{"path": name, "params": sure} for name in names],
        ("DELETE", "/api/v1/outputs"): [
            {"params": {**sure, **what}}
            for what in ({"all": "true"}, {"project": "anna"}, {"search": "speech"}, {"filenames": names[2]})
        ],
        ("GET", "/outputs/{path}"): [{"path": name} for name in names],
        **dict.fromkeys(ADMINISTRATION, nothing),
        **OF_MODELS,
        **OF_KEYS,
        # Nothing here is anybody's
        **{
            ("GET", path): nothing
            for path in ("/v1/models", "/v1/audio/models", "/v1/audio/voices", "/api/v1/health", "/api/v1/ready",
                         "/api/v1/config", "/api/v1/session", "/api/v1/models", "/api/v1/options")
        },
        ("GET", "/v1/models/{model}"): [{"path": MARK}],
        ("GET", "/api/v1/models/{name}"): [{"path": MARK}],
        ("POST", "/api/v1/warmup"): [{"json": {"model": MARK}}, {"json": {"tasks": ["tts"]}}],
        ("POST", "/api/v1/session"): [{"json": {"key": f"cbp_00000000_{'a' * 43}"}}],
        ("DELETE", "/api/v1/session"): nothing,
    }  # fmt: skip


def test_no_route_is_without_a_try(house: House) -> None:
    described = {
        (method.upper(), path)
        for path, methods in create_app(Settings()).openapi()["paths"].items()
        for method in methods
    }
    assert set(attempts(house)) == described


def test_a_key_sees_changes_and_deletes_nothing_of_another(house: House) -> None:
    before, tasks = house.state(), standing(house)
    for (method, template), tries in attempts(house).items():
        for one in tries:
            more = dict(one)
            path = filled(template, more.pop("path", ""))
            answer = house.ask("ben", method, path, **more)
            where = (method, path, answer.status_code, answer.text[:300])
            assert answer.status_code < 500, where
            assert answer.status_code >= 400 or MARK not in answer.text, where
            assert answer.status_code >= 400 or "of-the-house" not in answer.text, where
            if answer.status_code < 400 and "{" in template:
                assert (method, template) in OPEN, where
            if template.startswith("/api/v1/tasks/{id}"):
                assert answer.status_code == 404, where
    now = {
        path: digest
        for path, digest in house.state().items()
        if not path.startswith(("outputs/ben/", "vc_inputs/ben/", "presets/projects/ben/"))
    }
    assert now == before
    assert standing(house) == tasks


def filled(template: str, values: str | list[Any]) -> str:
    """The address with its parameters in their places."""
    given = iter([values] if isinstance(values, str) else values)
    return re.sub(r"\{[^}]*\}", lambda _: str(next(given)), template)


def standing(house: House) -> list[Any]:
    """Anna's tasks, and the messages about them, as she sees them."""
    told = [
        house.ask("anna", "GET", f"/api/v1/tasks/{house.tasks[name]}").json() for name in ("speech", "batch", "row")
    ]
    told.append(house.ask("anna", "GET", f"/api/v1/tasks/{house.tasks['speech']}/deliveries").json())
    return [{name: value for name, value in one.items() if name != "timestamp"} for one in told]


def test_the_same_idempotency_key_of_another_is_another_request(house: House) -> None:
    spoken = {"text": "Mine.", "export_formats": ["wav"]}
    mine = [house.submitted(who, "/api/v1/tts/async", spoken, {"Idempotency-Key": "shared"}) for who in ("anna", "ben")]
    assert mine[0] != mine[1]
    assert house.submitted("ben", "/api/v1/tts/async", spoken, {"Idempotency-Key": "shared"}) == mine[1]
    for who, task in zip(("anna", "ben"), mine, strict=True):
        ended(house, who, task)


def test_a_webhook_brings_a_link_that_opens_without_a_key(house: House) -> None:
    with receiver() as told:
        spoken = {"text": "For you.", "export_formats": ["wav", "mp3"], "webhook_url": told.url}
        task = house.submitted("anna", "/api/v1/tts/async", spoken)
        ((_, message),) = told.about(task)
    for link in (message["output_url"], *(file["url"] for file in message["output_files"])):
        assert link.startswith(house.url + "/outputs/anna/")
        assert requests.get(link, timeout=60).status_code == 200
        assert requests.get(link.partition("?")[0], timeout=60).status_code == 401


def test_tasks_are_the_project_s_and_the_admin_s(house: House) -> None:
    for who in ("anna", "boss"):
        listed = house.ask(who, "GET", "/api/v1/tasks", params={"page_size": 100}).json()["tasks"]
        assert {house.tasks["speech"], house.tasks["batch"]} <= {task["task_id"] for task in listed}
        zipped = house.ask(who, "GET", f"/api/v1/tasks/{house.tasks['batch']}/zip")
        assert zipped.status_code == 200, zipped.text
        assert len(zipfile.ZipFile(io.BytesIO(zipped.content)).namelist()) == 2
    assert house.ask("ben", "GET", "/api/v1/health").json().keys() >= {"status"}
    assert "tasks" not in house.ask("ben", "GET", "/api/v1/health").json(), "how much others do is no business of his"


def test_what_is_anybodys_own_still_works(house: House) -> None:
    for who in ("anna", "boss"):
        name = house.output if who == "boss" else house.output.removeprefix("anna/")
        assert house.ask(who, "GET", f"/api/v1/outputs/{name}/metadata").status_code == 200
        joined = house.ask(who, "POST", "/api/v1/concat?response_mode=url", json={"segments": [name]})
        assert joined.status_code == 200, joined.text
    listed = house.ask("anna", "GET", "/api/v1/outputs").json()["files"]
    assert all(item["url"].startswith("/outputs/anna/") for item in listed)
    assert house.ask("anna", "GET", "/api/v1/vc_inputs").json()["count"] == 1
    voices = house.ask("ben", "GET", "/api/v1/voices", params={"search": "annas"}).json()["voices"]
    assert [voice["url"] for voice in voices] == ["annas.wav"], "voices are shared"
    assert (
        house.ask("anna", "PUT", "/api/v1/voice/annas.wav/metadata", json={"description": "Mine."}).status_code == 200
    )


def test_administration_is_for_admins(house: House) -> None:
    for method, path in sorted(ADMINISTRATION):
        assert house.ask("ben", method, path).status_code == 403, path
        assert (
            house.ask("boss", method, path, json={"dry_run": True} if method == "POST" else None).status_code == 200
        ), path


def test_deleting_everything_takes_three_words(house: House) -> None:
    for path in ("/api/v1/voices", "/api/v1/vc_inputs", "/api/v1/outputs"):
        for words in ("", "?confirm=true", "?all=true", "?confirm=false&all=true", "?confirm=true&all=false"):
            assert house.ask("boss", "DELETE", path + words).status_code == 400, (path, words)


def test_a_misspelt_filter_deletes_nothing(house: House) -> None:
    before = house.state()
    for path in ("/api/v1/voices", "/api/v1/vc_inputs", "/api/v1/outputs"):
        for word in ("serch", "tags", "page_size", "state"):
            answer = house.ask("boss", "DELETE", path, params={"confirm": "true", "search": "wav", word: "x"})
            assert answer.status_code == 422, (path, word)
            assert answer.json()["detail"][0]["loc"] == ["query", word]
    assert house.state() == before


def test_the_log_says_which_key_asked_and_never_the_key(house: House) -> None:
    house.ask("anna", "GET", "/api/v1/voices")
    log = (house.data.parent / "server.log").read_text("utf-8")
    key = house.keys["anna"]
    assert f"key {key.split('_')[1]}" in log
    assert key.split("_", 2)[2] not in log


def test_models_and_keys_come_and_go_as_admins_say(house: House) -> None:
    for (method, template), tries in (OF_MODELS | OF_KEYS).items():
        for one in tries:
            more = dict(one)
            path = filled(template, more.pop("path", ""))
            assert house.ask("ben", method, path, **more).status_code == 403, path
        more = dict(tries[0])  # none of these begins anything
        path = filled(template, more.pop("path", ""))
        assert house.ask("boss", method, path, **more).status_code in (404, 409, 422), path
    assert house.ask("ben", "GET", "/api/v1/models").status_code == 200
