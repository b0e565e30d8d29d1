"""OpenAI's routes for voices of one's own and for consents: kept like any upload, and each project's own."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import requests

from chatterbox_plus.access.caller import Role
from chatterbox_plus.access.keys import KeyStore
from chatterbox_plus.settings import Api, Paths, Settings
from tests.api.fake_studio import FakeStudio
from tests.api.live_server import LiveServer, serve
from tests.api.shelf import clear, files, tone

VOICES, CONSENTS = "/v1/audio/voices", "/v1/audio/voice_consents"
WAV = ("sample.wav", tone(), "audio/wav")
MIB = 2**20


@pytest.fixture(autouse=True)
def stores(studio: FakeStudio) -> None:
    clear(studio.library.voices)
    clear(studio.library.consents)


def voice(server: LiveServer, file: Any = WAV, **fields: str) -> requests.Response:
    return server.post(VOICES, files={"audio_sample": file}, data={"name": "Anna", **fields})


def consent(server: LiveServer, file: Any = WAV, **fields: str) -> requests.Response:
    return server.post(CONSENTS, files={"recording": file}, data={"name": "Anna", "language": "de-DE", **fields})


def refused(answer: requests.Response) -> tuple[int, str | None]:
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return answer.status_code, error["param"]


# Voices


@pytest.mark.parametrize(
    ("name", "file", "id"),
    [
        ("Anna", ("sample.wav", tone(), "audio/wav"), "Anna.wav"),
        ("Berta.mp3", ("upload", tone(), "audio/x-wav"), "Berta.wav"),
        ("AC/DC: live", ("sample", tone(), "audio/wav; a=b"), "AC_DC_ live.wav"),
    ],
)
def test_a_voice_is_stored_under_its_name(
    name: str, file: Any, id: str, server: LiveServer, studio: FakeStudio
) -> None:
    told = voice(server, file, name=name).json()
    assert isinstance(told.pop("created_at"), int)
    assert told == {"object": "audio.voice", "id": id, "name": name, "type": "audio_sample"}
    assert (studio.library.voices.root / id).read_bytes() == tone()
    known = server.get(f"/api/v1/voices/{id}").json()
    assert known["name"] == name
    assert known["quality"]["score"] >= 0


def test_a_name_that_is_taken_is_nobody_elses_until_that_is_wished(server: LiveServer, studio: FakeStudio) -> None:
    assert voice(server).status_code == 200
    other = ("sample.wav", tone(2.0), "audio/wav")
    assert refused(voice(server, other)) == (409, None)
    assert (studio.library.voices.root / "Anna.wav").read_bytes() == tone()
    assert voice(server, other, overwrite="true").status_code == 200
    assert (studio.library.voices.root / "Anna.wav").read_bytes() == tone(2.0)


def test_the_consent_stands_in_the_sidecar_and_must_exist(server: LiveServer, studio: FakeStudio) -> None:
    id = consent(server).json()["id"]
    assert voice(server, consent=id).status_code == 200
    assert studio.library.voices.read_sidecar(studio.library.voices.root / "Anna.wav")["consent"] == id
    assert refused(voice(server, name="Berta", consent="cons_1234")) == (404, "consent")
    assert refused(voice(server, name="Berta", consent="../voices/x")) == (404, "consent")
    assert [name for name in files(studio.library.voices) if "Berta" in name] == []


@pytest.mark.parametrize(
    ("file", "fields", "status", "param"),
    [
        (WAV, {"name": " "}, 400, "name"),
        (WAV, {"name": ".."}, 403, None),
        (WAV, {"type": "prompt"}, 400, "type"),
        (("sample.txt", b"text", "text/plain"), {}, 400, "audio_sample"),
        (("sample.wav", b"text", "audio/wav"), {}, 400, None),
        (("sample.wav", b"", "audio/wav"), {}, 400, "audio_sample"),
        (("sample.wav", bytes(10 * MIB + 1), "audio/wav"), {}, 413, None),
    ],
)
def test_what_is_no_voice_is_refused_in_openais_form(
    file: Any, fields: dict[str, str], status: int, param: str | None, server: LiveServer, studio: FakeStudio
) -> None:
    assert refused(voice(server, file, **fields)) == (status, param)
    assert files(studio.library.voices) == []


def test_a_body_that_is_no_form_is_refused(server: LiveServer) -> None:
    assert refused(server.post(VOICES, {"name": "Anna", "type": "prompt", "prompt": "deep"})) == (400, None)
    assert refused(server.post(VOICES, data={"name": "Anna"})) == (400, None)


# Consents


def test_a_consent_lives_through_all_its_routes(server: LiveServer, studio: FakeStudio) -> None:
    for prefix in ("/v1", ""):
        path = prefix + "/audio/voice_consents"
        answer = server.post(path, files={"recording": WAV}, data={"name": "Anna", "language": "de-DE"})
        told = answer.json()
        assert (told["object"], told["name"], told["language"]) == ("audio.voice_consent", "Anna", "de-DE")
        one = f"{path}/{told['id']}"
        assert server.get(one).json() == told
        assert server.post(one, {"name": "Berta"}).json() == {**told, "name": "Berta"}
        assert server.get(path).json() == {
            "object": "list",
            "data": [{**told, "name": "Berta"}],
            "first_id": told["id"],
            "last_id": told["id"],
            "has_more": False,
        }
        gone = server.ask("DELETE", one).json()
        assert gone == {"object": "audio.voice_consent", "id": told["id"], "deleted": True}
        assert refused(server.get(one)) == (404, "consent")
        assert refused(server.ask("DELETE", one)) == (404, "consent")
        assert files(studio.library.consents) == []


def test_a_list_of_consents_goes_on_where_it_stopped(server: LiveServer) -> None:
    sent = [consent(server).json()["id"] for _ in range(3)][::-1]
    first = server.get(CONSENTS, params={"limit": 2}).json()
    assert ([one["id"] for one in first["data"]], first["has_more"]) == (sent[:2], True)
    rest = server.get(CONSENTS, params={"limit": 2, "after": first["last_id"]}).json()
    assert ([one["id"] for one in rest["data"]], rest["has_more"]) == (sent[2:], False)
    assert server.get(CONSENTS, params={"after": sent[2]}).json()["last_id"] is None
    assert refused(server.get(CONSENTS, params={"after": "cons_1"})) == (404, "after")
    assert refused(server.get(CONSENTS, params={"limit": 101})) == (400, "limit")


@pytest.mark.parametrize(
    ("file", "fields", "param"),
    [
        (WAV, {"language": ""}, "language"),
        (WAV, {"name": ""}, "name"),
        (("consent.wav", b"text", "audio/wav"), {}, None),
        (("consent.wav", tone(0.1), "audio/wav"), {}, None),
        (("consent.pdf", b"%PDF", "application/pdf"), {}, "recording"),
    ],
)
def test_what_is_no_consent_is_not_kept(
    file: Any, fields: dict[str, str], param: str | None, server: LiveServer, studio: FakeStudio
) -> None:
    assert refused(consent(server, file, **fields)) == (400, param)
    assert files(studio.library.consents) == []


def test_consents_are_no_voices(server: LiveServer) -> None:
    id = consent(server).json()["id"]
    assert server.get(f"/api/v1/voices/{id}").status_code == 404
    assert server.get("/api/v1/voices").json()["total"] == 0


# With keys


@dataclass(frozen=True)
class House:
    server: LiveServer
    keys: dict[str, str]

    def ask(self, method: str, path: str, who: str, **kwargs: Any) -> requests.Response:
        return self.server.ask(method, path, headers={"Authorization": f"Bearer {self.keys[who]}"}, **kwargs)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    data = tmp_path_factory.mktemp("house")
    store = KeyStore.at(data)
    keys = {name: store.add(name, role=Role.USER, project=name)[1] for name in ("ana", "bob")}
    keys["admin"] = store.add("admin", role=Role.ADMIN)[1]
    settings = Settings(api=Api(api_key_required=True), paths=Paths(data_dir=data))
    with serve(settings, FakeStudio(data)) as server:
        yield House(server, keys)


def test_a_consent_is_seen_by_its_project_and_by_admins(house: House) -> None:
    form: dict[str, Any] = {"files": {"recording": WAV}, "data": {"name": "Ana", "language": "pt"}}
    id = house.ask("POST", CONSENTS, "ana", **form).json()["id"]
    for who, seen in (("ana", [id]), ("bob", []), ("admin", [id])):
        assert [one["id"] for one in house.ask("GET", CONSENTS, who).json()["data"]] == seen
        assert house.ask("GET", f"{CONSENTS}/{id}", who).status_code == (200 if seen else 404)
    sample: dict[str, Any] = {"files": {"audio_sample": WAV}}
    assert house.ask("POST", f"{CONSENTS}/{id}", "bob", json={"name": "Bob"}).status_code == 404
    assert house.ask("DELETE", f"{CONSENTS}/{id}", "bob").status_code == 404
    borrowed = house.ask("POST", VOICES, "bob", data={"name": "Ana", "consent": id}, **sample)
    assert refused(borrowed) == (404, "consent")
    assert house.ask("POST", VOICES, "ana", data={"name": "Ana", "consent": id}, **sample).status_code == 200
    over = house.ask("POST", VOICES, "bob", data={"name": "Ana", "overwrite": "true"}, **sample)
    assert refused(over) == (403, None)
    assert house.ask("DELETE", f"{CONSENTS}/{id}", "admin").status_code == 200


def test_voices_are_listed_for_anybody_and_kept_for_nobody_without_a_key(house: House) -> None:
    assert house.server.get(VOICES).status_code == 200
    assert house.server.post(VOICES, files={"audio_sample": WAV}, data={"name": "X"}).status_code == 401
    assert house.server.get(CONSENTS).status_code == 401
