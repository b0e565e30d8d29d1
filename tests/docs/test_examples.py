"""What the pages show is run, word for word, page by page, against real servers.

- `bash` and `python` run, in order, in an empty folder of the page's own; Python blocks of a page share their names.
  curl fails on an error reply, unless the `json` block that follows shows one.
- `json` after a block that printed JSON must look like it: every key that is shown is there, with the same kind of
  value. Other `json` must parse.
- `text` after a block that printed something is exactly that.
- `yaml` is a configuration that loads, with every key known.
- `sh` is not run, and its section says so: "not tried here". It must parse, and its commands of ours must exist.
- What a page leaves behind with the name of an audio file is that kind of audio.
"""

import contextlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from chatterbox_plus.cli import COMMANDS
from chatterbox_plus.settings import load
from tests.docs.pages import PAGES, ROOT, Block, blocks
from tests.hearing import container_format, listen
from tests.live import LiveServer, live_server

BASE = "http://localhost:7860"
PRELUDE = 'curl() { command curl --fail-with-body --silent --show-error "$@"; }\n'
HTTP_ERROR = 22  # what curl ends with then
CONTAINERS = {".wav": "wav", ".mp3": "mp3", ".flac": "flac", ".opus": "ogg", ".aac": "aac"}
RUN = [page for page in PAGES if any(block.language in ("bash", "python") for block in blocks(page))]
TELLING = ("success", "error_code", "error", "format", "type", "object", "generation_type", "message", "status")
"""Keys whose values are told as they are."""


SETTINGS = {
    "access": {"CHATTERBOX_API_KEY_REQUIRED": "true", "CHATTERBOX_RATE_LIMIT_PER_MINUTE": "120"},
    "library": {},
    "tasks": {"CHATTERBOX_WEBHOOK_SECRET": "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"},
}
"""What the server of a page is set to, for pages that need one of their own: they count what is there."""


@pytest.fixture(scope="module")
def plain_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """For the pages alone: some of them delete what they made."""
    with live_server(tmp_path_factory.mktemp("docs"), env={"CHATTERBOX_ALLOWED_HOSTS": "127.0.0.1"}) as running:
        yield running


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", RUN, ids=name)
def test_its_examples_run_and_answer_as_shown(
    page: Path, plain_server: LiveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "reader"
    here.mkdir()
    monkeypatch.chdir(here)
    own = SETTINGS.get(page.stem)
    with live_server(tmp_path / "own", env=own) if own is not None else contextlib.nullcontext(plain_server) as server:
        run_page(list(blocks(page)), server, {"__name__": "__main__"})
    for path in here.rglob("*"):
        if path.suffix in CONTAINERS:
            assert container_format(path) == CONTAINERS[path.suffix], path.name
            assert len(listen(path)) > 24_000 * 0.3, path.name


def run_page(page: list[Block], server: LiveServer, names: dict[str, Any]) -> None:
    printed = ""
    for block, after in zip(page, [*page[1:], None], strict=True):
        code = block.code.replace(BASE, server.url)
        refused = after is not None and after.language == "json" and is_error(json.loads(after.code))
        if block.language == "bash":
            printed = run_bash(block, code, server, refused=refused)
        elif block.language == "python":
            with contextlib.redirect_stdout(io.StringIO()) as out:
                exec(compile(code, block.name, "exec"), names)
            printed = out.getvalue()
        elif block.language == "json" and printed:
            assert_alike(json.loads(block.code), last_json(printed), block.name)
        elif block.language == "text" and printed:
            assert block.code.split() == printed.split(), block.name
        if block.language not in ("bash", "python"):
            printed = ""


def run_bash(block: Block, code: str, server: LiveServer, *, refused: bool) -> str:
    program = shutil.which("chatterbox-plus", path=Path(sys.executable).parent)
    assert program, "the package is not installed beside this Python"
    path = os.pathsep.join([str(Path(program).parent), os.environ["PATH"]])
    clean = {key: value for key, value in os.environ.items() if not key.startswith("CHATTERBOX_")}
    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", PRELUDE + code],
        env={**clean, "PATH": path, "CHATTERBOX_DATA_DIR": str(server.data)}, capture_output=True, timeout=60,
    )  # fmt: skip
    told = f"{block.name}: {ran.stdout[-800:]!r} {ran.stderr.decode(errors='replace')[-800:]}"
    assert ran.returncode == (HTTP_ERROR if refused else 0), told
    return ran.stdout.decode("utf-8", "replace")


def last_json(printed: str) -> Any:
    """The last reply that a block printed, of several without anything between."""
    value, at = None, 0
    while at < len(printed.rstrip()):
        value, at = json.JSONDecoder().raw_decode(printed, at)
    return value


def is_error(shown: object) -> bool:
    return isinstance(shown, dict) and (shown.get("success") is False or "error" in shown)


def assert_alike(shown: Any, real: Any, where: str) -> None:
    """What is shown has the form of what was answered; only keys in TELLING must have the very value."""
    if isinstance(shown, Mapping):
        assert isinstance(real, Mapping), where
        for key, value in shown.items():
            assert key in real, f"{where}: the reply has no {key}"
            if key in TELLING and isinstance(value, str | bool):
                assert real[key] == value, f"{where}.{key}"
            assert_alike(value, real[key], f"{where}.{key}")
    elif isinstance(shown, list):
        assert isinstance(real, list), where
        for item, found in zip(shown, real, strict=False):
            assert_alike(item, found, f"{where}[]")
        assert bool(shown) == bool(real), where
    else:
        assert kind(shown) == kind(real), f"{where}: {shown!r} is shown, {real!r} came"


def kind(value: object) -> str:
    if value is None or isinstance(value, bool | str):
        return type(value).__name__
    return "number"


def test_an_example_that_shows_another_reply_than_it_gets_is_noticed() -> None:
    reply = {"files": [{"format": "wav", "size": 3}], "note": None}
    assert_alike({"files": [{"format": "wav", "size": 1.5}]}, reply, "$")
    for other in ({"file": []}, {"files": []}, {"files": [{"format": "mp3"}]}, {"files": [{"size": "3"}]}, {"note": 1}):
        with pytest.raises(AssertionError):
            assert_alike(other, reply, "$")


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_what_is_not_run_is_checked_and_says_so(page: Path, tmp_path: Path) -> None:
    for block in blocks(page):
        if block.language == "json":
            json.loads(block.code)
        elif block.language == "yaml":
            assert isinstance(yaml.safe_load(block.code), dict), block.name
            (tmp_path / "config.yaml").write_text(block.code, "utf-8")
            load({}, cwd=tmp_path)  # raises for a key nobody knows
        elif block.language == "sh":
            assert "not tried here" in " ".join(block.section.lower().split()), f"{block.name} does not say so"
            subprocess.run(["bash", "-n", "-c", block.code], check=True)
            assert set(re.findall(r"\bchatterbox-plus (\w+)", block.code)) <= set(COMMANDS), block.name
        else:
            known = ("bash", "python", "ini", "nginx", "caddyfile", "dockerfile", "text", "http", "")
            assert block.language in known, block.name
