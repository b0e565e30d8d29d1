"""Upstream's own environment, `.venv-parity`: the registry's chatterbox-tts beside a current PyTorch.

A plain install asks for one old PyTorch, an old NumPy and a web interface. What it really needs is installed here, by
version; upstream itself and torchaudio come without what they ask for. Of torchaudio only what is pure Python is used,
and its compiled parts, made for GPUs of another PyTorch, must go.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VARIABLE = "PARITY_VENV"
"""Of the environment: a virtual environment to use instead of building one."""

_NEEDED = (
    "torch==2.13.0",
    "numpy<2.5",
    "setuptools<81",  # the watermarker asks pkg_resources for its files
    "transformers==5.2.0",
    "diffusers==0.29.0",
    "librosa==0.11.0",
    "conformer==0.3.2",
    "safetensors",
    "resemble-perth",
    "omegaconf",
    "pyloudnorm",
    "s3tokenizer",
    "einops",
    "av>=18.1,<19",  # for our side, which runs here too
)
_BARE = ("chatterbox-tts==0.1.7", "torchaudio==2.11.0")


class NoEnvironment(RuntimeError):
    """Upstream's environment is not there, or could not be made."""


def interpreter(*, build: bool) -> Path:
    """The Python of upstream's environment. build: make it if it is not there (two minutes, 2 GB).

    Raises NoEnvironment if it is not there and must not or could not be built.
    """
    given = os.environ.get(VARIABLE)
    folder = Path(given) if given else ROOT / ".venv-parity"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    done = folder / ".done"
    if given:
        if not python.exists():
            raise NoEnvironment(f"{VARIABLE} names {folder}, which has no Python in it")
    elif not done.exists():
        if not build:
            raise NoEnvironment("upstream's environment is not there; `make parity` makes it")
        _build(folder, python)
        done.touch()
    return python


def _build(folder: Path, python: Path) -> None:
    sys.stderr.write(f"Installing upstream into {folder.name}; this takes some minutes, once.\n")
    shutil.rmtree(folder, ignore_errors=True)
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    for command in ([sys.executable, "-m", "venv", str(folder)], [*install, *_NEEDED], [*install, "--no-deps", *_BARE]):
        if subprocess.run(command, check=False).returncode:
            raise NoEnvironment(f"could not be installed: {' '.join(command)}")
    for library in folder.rglob("torchaudio/lib/*.so"):
        library.unlink()


def call(python: Path, *words: str) -> int:
    """Run `python -m parity WORDS` there. Gives its exit status."""
    return subprocess.run([str(python), "-m", "parity", *words], cwd=ROOT, env=surroundings(), check=False).returncode


def surroundings() -> dict[str, str]:
    """The environment's variables for a process there, with our package on its path."""
    paths = [str(ROOT), str(ROOT / "src"), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
