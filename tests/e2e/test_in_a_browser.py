"""What a browser without the internet makes of the documentation: Debian's Chromium, driven from its command line.

The page itself: tests/web.
"""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.live import LiveServer
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
