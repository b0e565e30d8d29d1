"""What README says is run, word for word."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hearing import container_format, listen
from tests.live import LiveServer

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(bash|python)\n(.*?)^```", README, re.M | re.S)
SETUP = ("make serve", "pip install .")  # blocks a newcomer types first: CI runs the one, every clone the other
MADE = {"hello.wav": "wav", "letter.mp3": "mp3", "converted.wav": "wav", "both.wav": "wav", "nova.mp3": "mp3"}


def test_the_examples_run_and_make_what_they_say(
    server: LiveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = shutil.which("chatterbox-plus", path=Path(sys.executable).parent)
    assert program, "the package is not installed beside this Python"
    env = {**os.environ, "PATH": os.pathsep.join([str(Path(program).parent), os.environ["PATH"]])}
    monkeypatch.chdir(tmp_path)
    ran = 0
    for language, code in BLOCKS:
        if code.startswith(SETUP):
            continue
        here = code.replace("http://localhost:7860", server.url)
        if "hello.wav" in code:  # two examples make it, and the command line overwrites nothing
            Path("hello.wav").unlink(missing_ok=True)
        if language == "bash":
            subprocess.run(["bash", "-euo", "pipefail", "-c", here], env=env, check=True, timeout=120)
        else:
            exec(compile(here, "README.md", "exec"), {"__name__": "__main__"})
        ran += 1
    assert ran == 4
    for name, kind in MADE.items():
        assert container_format(Path(name)) == kind
        assert len(listen(Path(name))) > 12_000, name


def test_it_begins_with_the_two_commands_which_exist() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    first = BLOCKS[0][1]
    assert re.findall(r"^make (\w+)", first, re.M) == ["serve", "test"]
    for verb in ("serve", "test", "check", "bench"):
        assert re.search(rf"^{verb}:", makefile, re.M)
    assert "make check test" in (ROOT / ".ci" / "run").read_text("utf-8")
