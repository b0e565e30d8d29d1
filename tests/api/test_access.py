"""A server that asks for keys: who gets in, how often, and what a browser may do without one."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from chatterbox_plus.access.caller import Role
from chatterbox_plus.access.key import Key
from chatterbox_plus.access.keys import KeyStore
from chatterbox_plus.api.app import create_app
from chatterbox_plus.errors import DatabaseAway
from chatterbox_plus.settings import Api, Paths, Server, Settings
from tests.api.fake_studio import FakeStudio
from tests.api.live_server import LiveServer, serve

PUBLIC = {
    "/", "/ui", "/docs", "/redoc", "/openapi.json", "/assets/icon.svg", "/api/v1/health", "/api/v1/ready",
    "/v1/models", "/models", "/v1/models/{model}", "/models/{model}", "/v1/audio/models", "/audio/models",
    "/v1/audio/voices", "/audio/voices",
}  # fmt: skip
TTS, VOICES = "/api/v1/tts", "/v1/audio/voices"
HELLO = {"text": "Hello."}


@dataclass(frozen=True)
class House:
    server: LiveServer
    store: KeyStore
    user: str
    other: str
    admin: str
    slow: str

    def ask(self, method: str, path: str, key: str | None = None, **kwargs: Any) -> requests.Response:
        headers = {**({"Authorization": f"Bearer {key}"} if key else {}), **kwargs.pop("headers", {})}
        return self.server.ask(method, path, headers=headers, **kwargs)


def settings(data: Path, **api: Any) -> Settings:
    return Settings(api=Api(api_key_required=True, **api), paths=Paths(data_dir=data))


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    data = tmp_path_factory.mktemp("house")
    store = KeyStore.at(data)
    keys = [
        store.add(name, role=role, project=project, rate_limit_per_minute=limit)[1]
        for name, role, project, limit in (
            ("user", Role.USER, "team", None),
            ("other", Role.USER, "rivals", None),
            ("admin", Role.ADMIN, None, 0),
            ("slow", Role.USER, "slow", 2),
        )
    ]
    studio = FakeStudio(data)
    (studio.library.outputs.root / "intro.wav").write_bytes(b"intro")
    (studio.library.outputs.folder("team/book") / "a b.wav").write_bytes(b"mine")
    with serve(settings(data), studio) as server:
        yield House(server, store, *keys)


def routes(data: Path) -> set[tuple[str, str]]:
    """What the API describes, and what it leaves out: pages, and OpenAI's routes without their prefix."""
    described = {
        (method.upper(), path)
        for path, methods in create_app(settings(data)).openapi()["paths"].items()
        for method in methods
    }
    bare = {(method, path.removeprefix("/v1")) for method, path in described if path.startswith("/v1/")}
    return described | bare | {("GET", path) for path in PUBLIC}


def test_every_route_but_the_public_ones_asks_for_a_key(house: House, tmp_path: Path) -> None:
    seen = routes(tmp_path)
    assert len(seen) > 25
    for method, path in sorted(seen):
        filled = re.sub(r"{\w+}", "x.wav", path)
        answer = house.ask(method, filled, allow_redirects=False)
        if path in PUBLIC and method in ("GET", "HEAD"):
            assert answer.status_code in (200, 307, 404, 503), (method, path)
        elif path != "/api/v1/session":
            assert answer.status_code == 401, (method, path)
            assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_an_unknown_path_tells_strangers_nothing(house: House) -> None:
    assert house.ask("GET", "/api/v1/no-such-thing").status_code == 401
    assert house.ask("GET", "/api/v1/no-such-thing", house.user).status_code == 404


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer {}"},
        {"authorization": "bearer  {} "},
        {"x-api-key": "{}"},
        {"X-API-Key": "{} ", "Authorization": "Basic bm9uZQ=="},
    ],
)
def test_a_key_is_shown_as_a_bearer_or_in_a_header_of_its_own(house: House, headers: dict[str, str]) -> None:
    shown = {name: value.format(house.user) for name, value in headers.items()}
    assert house.ask("POST", TTS, json=HELLO, headers=shown).status_code == 200


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Bearer"}, {"Authorization": "Bearer none"}, {"x-api-key": "cbp_1_2"}]
)
def test_nobody_else_gets_in(house: House, headers: dict[str, str]) -> None:
    answer = house.ask("POST", TTS, json=HELLO, headers=headers)
    assert (answer.status_code, answer.json()["error_code"]) == (401, "INVALID_API_KEY")


def test_a_key_in_the_address_opens_nothing(house: House) -> None:
    """Addresses end up in logs and histories."""
    for name in ("api_key", "key", "token", "x-api-key"):
        assert house.ask("GET", "/api/v1/config", params={name: house.admin}).status_code == 401


def test_openais_clients_are_refused_in_their_own_words(house: House) -> None:
    answer = house.ask("POST", "/v1/audio/speech", "sk-none", json={"model": "tts-1", "input": "x", "voice": "alloy"})
    assert answer.status_code == 401
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["code"] == "invalid_api_key"


@pytest.mark.parametrize("path", ["/v1/audio/voices", "/audio/voices", "/v1/audio/models", "/v1/models"])
@pytest.mark.parametrize("key", [None, "wrong"])
def test_lists_that_clients_fetch_without_a_key_stay_open(house: House, path: str, key: str | None) -> None:
    answer = house.ask("GET", path, key)
    assert answer.status_code == 200
    assert answer.json()["data"]


def test_without_keys_anything_shown_is_ignored(server: LiveServer) -> None:
    answer = server.post(TTS, HELLO, headers={"Authorization": "Bearer none", "x-api-key": "sk-1"})
    assert answer.status_code == 200


# Outputs


def test_what_a_user_makes_lies_in_its_project(house: House) -> None:
    body = {**HELLO, "project": "book", "export_formats": ["wav"]}
    made = house.ask("POST", TTS, house.user, json=body, params={"response_mode": "url"}).json()["output_files"][0]
    assert made["url"].startswith("/outputs/team/book/")
    assert made["path"] == made["url"][1:]
    assert house.ask("GET", made["url"], house.user).content == b"Hello.wav"
    assert house.ask("GET", made["url"], house.admin).status_code == 200
    assert house.ask("GET", made["url"], house.other).status_code == 404
    assert house.ask("GET", made["url"]).status_code == 401


@pytest.mark.parametrize(
    "path",
    ["/outputs/intro.wav", "/outputs/team/../intro.wav", "/outputs/team/..%2Fintro.wav",
     "/outputs/team%2F..%5Cintro.wav",
     "/outputs/rivals/../intro.wav", "/outputs/./intro.wav", "/outputs//intro.wav", "/outputs/team"],
)  # fmt: skip
def test_a_user_reads_nothing_outside_its_project(house: House, path: str) -> None:
    connection = house.server.raw(
        f"GET {path} HTTP/1.1\r\nHost: localhost\r\nx-api-key: {house.user}\r\nConnection: close\r\n\r\n".encode()
    )
    answer = connection.makefile("rb").read()
    connection.close()
    assert answer.split()[1] in (b"403", b"404")
    assert not answer.endswith(b"intro")


def test_caching_is_private_with_keys(house: House) -> None:
    answer = house.ask("GET", "/outputs/team/book/a%20b.wav", house.user)
    assert answer.headers["Cache-Control"] == "private, max-age=3600"


def test_a_link_opens_one_output_for_anybody_who_has_it(house: House) -> None:
    asked = house.ask("POST", "/api/v1/outputs/book/a b.wav/link", house.user, params={"expires_in": 60})
    url = asked.json()["url"]
    assert house.ask("GET", url).content == b"mine"
    assert house.ask("GET", url, headers={"Range": "bytes=1-2"}).content == b"in"
    assert house.ask("HEAD", url).status_code == 200
    assert house.ask("DELETE", url).status_code in (401, 405)
    assert house.ask("GET", url.replace("a%20b", "intro")).status_code == 401
    assert house.ask("GET", url.replace("expires=", "expires=9")).status_code == 401
    assert house.ask("GET", url.split("?")[0]).status_code == 401
    for bad in (0, 10**9, "x"):
        refused = house.ask("POST", "/api/v1/outputs/book/a b.wav/link", house.user, params={"expires_in": bad})
        assert refused.status_code == 422


def test_a_link_with_a_crowd_of_fields_opens_nothing(house: House) -> None:
    query = "&".join(f"a{number}=1" for number in range(100))
    assert house.ask("GET", f"/outputs/intro.wav?{query}").status_code == 401


def test_nobody_makes_links_to_the_outputs_of_others(house: House) -> None:
    for name in ("team/book/a b.wav", "a b.wav", "../team/book/a b.wav"):
        assert house.ask("POST", f"/api/v1/outputs/{name}/link", house.other).status_code in (403, 404)


def test_without_keys_a_link_is_the_plain_address(server: LiveServer) -> None:
    assert server.post("/api/v1/outputs/intro/link").json()["url"] == "/outputs/intro.wav"


def test_a_link_is_told_in_full_too(server: LiveServer, studio: FakeStudio) -> None:
    path = "/api/v1/outputs/intro/link"
    assert server.post(path).json()["full_url"] == f"{server.url}/outputs/intro.wav"
    with serve(Settings(server=Server(public_url="https://speech.example/tts/")), studio) as named:
        assert named.post(path).json()["full_url"] == "https://speech.example/tts/outputs/intro.wav"


# The page's session


def test_the_pages_session_opens_what_its_key_opens(house: House) -> None:
    begun = house.ask("POST", "/api/v1/session", json={"key": house.user})
    assert begun.json()["project"] == "team"
    cookie = begun.headers["Set-Cookie"]
    for word in ("HttpOnly", "SameSite=strict", "Path=/"):
        assert word in cookie
    assert house.user not in cookie
    jar = {"Cookie": cookie.split(";")[0]}
    assert house.ask("GET", "/outputs/team/book/a%20b.wav", headers=jar).content == b"mine"
    assert house.ask("GET", "/outputs/intro.wav", headers=jar).status_code == 404
    own = {**jar, "Origin": house.server.url}
    assert house.ask("POST", TTS, json=HELLO, headers=own).status_code == 200
    assert house.ask("GET", "/api/v1/session", headers=jar).json()["authenticated"] is True
    ended = house.ask("DELETE", "/api/v1/session", headers=own)
    assert 'chatterbox_session="";' in ended.headers["Set-Cookie"]


def test_no_other_page_speaks_with_the_pages_cookie(house: House) -> None:
    """Pages on other ports of this machine are the same site to a browser: it sends them the cookie."""
    begun = house.ask("POST", "/api/v1/session", json={"key": house.user})
    jar = {"Cookie": begun.headers["Set-Cookie"].split(";")[0]}
    for origin in (None, "http://localhost:1", "null", "http://127.0.0.1"):
        headers = {**jar, **({"Origin": origin} if origin else {})}
        assert house.ask("POST", TTS, json=HELLO, headers=headers).status_code in (401, 403)
    read = house.ask("GET", "/api/v1/config", headers={**jar, "Origin": "http://localhost:1"})
    assert read.status_code == 401
    speech = {"text": "Hello.", "predefined_voice_id": "alloy"}  # a GET that a sound in any page can ask
    assert house.ask("GET", "/tts-stream", params=speech, headers=jar).status_code == 401
    assert house.ask("GET", "/tts-stream", house.user, params=speech).status_code == 200


def test_a_session_needs_a_real_key(house: House) -> None:
    for body, status in (({"key": "none"}, 401), ({"key": ""}, 422), ({}, 422), ([], 422)):
        assert house.ask("POST", "/api/v1/session", json=body).status_code == status
    assert house.ask("GET", "/api/v1/session").json()["authenticated"] is False


def test_keys_come_and_go_while_the_server_runs(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chatterbox_plus.access.keyring.FRESH_S", -1.0)
    _, text = house.store.add("leaver", project="leaver")
    assert house.ask("GET", "/api/v1/config", text).status_code == 200
    made = house.ask("POST", TTS, text, json=HELLO, params={"response_mode": "url"}).json()["output_files"][0]
    link = house.ask("POST", f"/api/v1/outputs/{made['filename']}/link", text).json()["url"]
    assert house.ask("GET", link).status_code == 200
    house.store.revoke("leaver")
    assert house.ask("GET", "/api/v1/config", text).status_code == 401
    assert house.ask("GET", link).status_code == 401


def test_while_the_keys_cannot_be_read_nobody_gets_in_and_health_answers(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(store: KeyStore) -> list[Key]:
        raise DatabaseAway("The database of the keys cannot be used")

    monkeypatch.setattr("chatterbox_plus.access.keyring.FRESH_S", -1.0)
    monkeypatch.setattr(KeyStore, "listed", lost)
    answer = house.ask("GET", "/api/v1/config", house.admin)
    assert (answer.status_code, answer.json()["error_code"]) == (503, "DATABASE_UNAVAILABLE")
    assert int(answer.headers["Retry-After"]) > 0
    assert house.ask("GET", "/api/v1/health").status_code == 200


# Rates


def test_a_key_has_a_rate_of_its_own_and_is_told_what_is_left(house: House) -> None:
    answers = [house.ask("POST", TTS, house.slow, json=HELLO) for _ in range(3)]
    assert [a.status_code for a in answers] == [200, 200, 429]
    assert [a.headers["X-RateLimit-Remaining"] for a in answers] == ["1", "0", "0"]
    refused = answers[-1]
    assert refused.json()["error_code"] == "RATE_LIMITED"
    assert 1 <= int(refused.headers["Retry-After"]) <= 61
    assert int(refused.headers["X-RateLimit-Reset"]) > 1_700_000_000
    assert house.ask("GET", VOICES, house.slow).status_code == 200  # what is public is not counted
    assert house.ask("POST", TTS, house.user, json=HELLO).status_code == 200  # nor are others


def test_without_keys_every_address_has_the_servers_rate(studio: FakeStudio) -> None:
    with serve(Settings(api=Api(rate_limit_per_minute=3)), studio) as server:
        assert [server.post(TTS, HELLO).status_code for _ in range(4)] == [200, 200, 200, 429]
        assert server.get("/api/v1/health").status_code == 200
        openai = server.post("/v1/audio/speech", {"model": "tts-1", "input": "x", "voice": "alloy"})
        assert openai.status_code == 429
        assert openai.json()["error"]["code"] == "rate_limited"
        assert openai.headers["Retry-After"]


def test_without_a_rate_nothing_is_said_of_one(server: LiveServer) -> None:
    assert not [name for name in server.post(TTS, HELLO).headers if "ratelimit" in name.lower()]


# What a browser is told


@pytest.mark.parametrize(
    "path", ["/", "/nope", "/api/v1/config", VOICES, "/outputs/intro.wav", "/assets/icon.svg", "/docs"]
)
def test_every_answer_has_the_security_headers(house: House, path: str) -> None:
    answer = house.ask("GET", path, house.admin)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5"])
def test_an_open_server_answers_to_no_name_that_somebody_could_own(studio: FakeStudio, host: str) -> None:
    """A rebound DNS name makes a browser in the network ask us on behalf of a stranger's page."""
    with serve(Settings(server=Server(host=host)), studio) as server:
        for name, known in (
            ("evil.example.com", False), ("evil.example.com:80", False), ("", False), ("127.0.0.1.nip.io", False),
            ("192.168.1.5", True), ("10.0.0.7:7860", True), ("[fe80::1]:7860", True), ("chatterbox:7860", True),
            ("nas.local", True), ("nas.lan:7860", True), ("localhost", True),
        ):  # fmt: skip
            answer = server.get("/api/v1/config", headers={"Host": name})
            assert answer.status_code == (200 if known else 403), name


def test_with_keys_an_open_server_has_any_name(studio: FakeStudio, tmp_path: Path) -> None:
    options = settings(tmp_path).model_copy(update={"server": Server(host="0.0.0.0")})
    with serve(options, studio) as server:
        assert server.get("/api/v1/health", headers={"Host": "speech.example.com"}).status_code == 200


def test_an_image_or_script_of_another_site_gets_nothing(server: LiveServer) -> None:
    strange = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
    assert server.get("/api/v1/config", headers=strange).status_code == 403
    for mode in ({"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "no-cors"},
                 {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}):  # fmt: skip
        assert server.get("/api/v1/config", headers=mode).status_code == 200


@pytest.mark.parametrize("mode", ["navigate", "cors", "no-cors"])
def test_another_site_changes_nothing_without_an_origin_either(server: LiveServer, mode: str) -> None:
    strange = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": mode}
    assert server.post(TTS, HELLO, headers=strange).status_code == 403
    assert server.ask("DELETE", "/api/v1/outputs?confirm=true&search=x", headers=strange).status_code == 403
    assert server.post(TTS, HELLO, headers={**strange, "Sec-Fetch-Site": "same-origin"}).status_code == 200
