"""What people install is whole, and imports where there is no POSIX."""

import subprocess
import sys
import zipfile
from pathlib import Path, PurePosixPath

import pytest

from chatterbox_plus import __version__
from chatterbox_plus.text.lexicons import LEXICONS

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "chatterbox_plus"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.Path:
    """Built by the project's own backend; nothing is downloaded."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT, check=True, capture_output=True,
    )  # fmt: skip
    (built,) = folder.glob("*.whl")
    return zipfile.Path(built)


def names(wheel: zipfile.Path) -> set[str]:
    return {name for name in wheel.root.namelist() if not name.endswith("/")}


def test_the_wheel_holds_every_file_of_the_package_and_no_other(wheel: zipfile.Path) -> None:
    ours = {f"chatterbox_plus/{path.relative_to(SOURCE).as_posix()}" for path in SOURCE.rglob("*") if path.is_file()}
    ours = {name for name in ours if "__pycache__" not in name}
    about = f"chatterbox_plus-{__version__}.dist-info"
    assert {name for name in names(wheel) if not name.startswith(about)} == ours
    told = {name.removeprefix(about + "/") for name in names(wheel) - ours}
    assert told == {"METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE"}


def test_the_wheel_holds_types_pages_lexicons_and_licence(wheel: zipfile.Path) -> None:
    found = names(wheel)
    wanted = {"py.typed", *(f"text/lexicons/{language}.py" for language in LEXICONS)}
    assert {f"chatterbox_plus/{name}" for name in wanted} <= found
    assert "index.html" in {PurePosixPath(name).name for name in found if name.startswith("chatterbox_plus/web/")}
    assert {PurePosixPath(name).suffix for name in found} <= {
        ".py",
        ".typed",
        ".html",
        ".css",
        ".js",
        ".svg",
        ".json",
        ".txt",
        "",
    }
    assert (wheel / f"chatterbox_plus-{__version__}.dist-info/licenses/LICENSE").read_text() == (
        ROOT / "LICENSE"
    ).read_text()


@pytest.mark.parametrize(
    "module",
    [
        "cli",
        "api.app",
        "engines.child",
        "audio.decode_child",
        "engines.builtin.engine",
        "commands.say",
        "commands.serve",
        "commands.mcp",
    ],
)
def test_imports_where_there_are_no_posix_modules(module: str) -> None:
    """As on Windows: children are spawned, and nobody's limits are set."""
    script = (
        "import sys, psutil, subprocess, asyncio\n"  # which bring their own for each system
        "for name in ('resource', 'fcntl', 'pwd', 'grp', 'termios'): sys.modules[name] = None\n"
        "import os; del os.fork\n"
        f"import chatterbox_plus.{module}"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
