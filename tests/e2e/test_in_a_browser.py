"""What a browser without the internet makes of the pages: Debian's Chromium, driven from its command line."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.live import LiveServer, live_server
from tests.needs import missing

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--virtual-time-budget=10000",
    "--host-resolver-rules=MAP * ~NOTFOUND,EXCLUDE 127.0.0.1",
]


def rendered(url: str, profile: Path) -> str:
    """The page's DOM once its scripts have run; no host but this one can be reached."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        missing("Chromium")
    command = [browser, *FLAGS, f"--user-data-dir={profile}", "--dump-dom", url]
    return subprocess.run(command, capture_output=True, timeout=90, check=True).stdout.decode("utf-8", "replace")


@pytest.mark.parametrize("page", ["/docs", "/redoc"])
def test_the_documentation_is_drawn_offline(server: LiveServer, tmp_path: Path, page: str) -> None:
    text = re.sub(r"<(script|style).*?</\1>", "", rendered(server.url + page, tmp_path), flags=re.S)
    for path in ("/api/v1/tts", "/api/v1/vc", "/api/v1/concat", "/v1/audio/speech"):
        assert path in text.replace("&ZeroWidthSpace;", "").replace("\u200b", "")


def test_the_page_lists_the_voices(server: LiveServer, tmp_path: Path) -> None:
    text = rendered(server.url + "/", tmp_path)
    for voice in ("speaker1.wav", "narrator.wav", "alloy"):
        assert voice in text


def test_the_page_asks_for_a_key_where_the_server_does(tmp_path: Path) -> None:
    with live_server(tmp_path / "house", env={"CHATTERBOX_API_KEY_REQUIRED": "true"}) as guarded:
        text = rendered(guarded.url + "/", tmp_path / "profile")
    assert '<form id="access">' in text
    assert re.search(r'<form id="speech" hidden(="")?>', text)


def test_the_page_asks_nobody_else(server: LiveServer, tmp_path: Path) -> None:
    assert re.search(r'<form id="access" hidden(="")?>', rendered(server.url + "/", tmp_path))
