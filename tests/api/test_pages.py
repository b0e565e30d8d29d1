"""What a browser gets, and that it comes from here alone."""

import re

import pytest

from chatterbox_plus.settings import Settings, Ui
from tests.api.fake_studio import FakeStudio
from tests.api.live_server import LiveServer, serve

ROUTES = {
    "/api/v1/tts",
    "/api/v1/vc",
    "/api/v1/concat",
    "/api/v1/health",
    "/api/v1/config",
    "/v1/audio/speech",
    "/v1/models",
    "/outputs/{path}",
}
HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


def test_a_program_gets_json_at_the_root(server: LiveServer) -> None:
    for accept in ({}, {"Accept": "*/*"}, {"Accept": "application/json"}):
        body = server.get("/", headers=accept).json()
        assert {"message", "version", "endpoints"} <= set(body)
        assert {"api_docs", "gradio_ui", "health_check", "metrics", "tts_generation", "voice_conversion"} <= set(
            body["endpoints"]
        )
    assert server.ask("HEAD", "/").status_code == 200


def test_the_old_address_of_the_page_leads_to_it(server: LiveServer) -> None:
    answer = server.get("/ui", headers=HTML, allow_redirects=False)
    assert (answer.status_code, answer.headers["Location"]) == (307, "/")


@pytest.mark.parametrize("path", ["/", "/docs", "/redoc"])
def test_a_page_loads_nothing_from_elsewhere_and_runs_nothing_inline(path: str, server: LiveServer) -> None:
    answer = server.get(path, headers=HTML)
    assert answer.headers["Content-Type"].startswith("text/html")
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "//" not in policy
    page = answer.text
    assert not re.search(r"<script(?![^>]*\bsrc=)|\son\w+=|javascript:", page)
    assert not re.search(r"(?:src|href|url)=\"(?:https?:)?//", page)
    loaded = re.findall(r'(?:src|href|spec-url)="(/[^"]*)"', page)
    assert len(loaded) >= 3
    for address in loaded:
        assert server.get(address).status_code == 200, address


def test_the_page_can_be_named_moved_and_turned_off(studio: FakeStudio) -> None:
    with serve(Settings(ui=Ui(title="Mine & yours", mount_path="/speak/")), studio) as server:
        assert "<title>Mine &amp; yours</title>" in server.get("/", headers=HTML).text
        assert server.get("/speak", allow_redirects=False).headers["Location"] == "/"
    with serve(Settings(ui=Ui(enable_ui=False)), studio) as server:
        assert server.get("/", headers=HTML).json()["endpoints"]
        assert server.get("/ui").status_code == 404


def test_the_description_covers_every_route(server: LiveServer) -> None:
    paths = server.get("/openapi.json").json()["paths"]
    assert set(paths) >= ROUTES
    for path, methods in paths.items():
        for operation in methods.values():
            assert operation["summary"], path
    tts = paths["/api/v1/tts"]["post"]
    assert {"200", "403", "404", "422", "503", "507"} <= set(tts["responses"])
    speech = paths["/v1/audio/speech"]["post"]["responses"]
    assert {"400", "404", "409", "default"} <= set(speech)
    assert "422" not in speech, "OpenAI's clients know 400"
    assert "multipart/form-data" in paths["/api/v1/vc"]["post"]["requestBody"]["content"]
    joining = paths["/api/v1/concat"]["post"]["requestBody"]["content"]["application/json"]
    assert {"segments", "files", "processing", "crossfade_ms"} <= set(joining["schema"]["properties"])
    assert len(joining["examples"]) == 3
