"""What several rooms' tests share."""

import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from tests.live import LiveServer, live_server

SHARED = Path(__file__).resolve().parents[2] / "shared"

# How long an example takes says more about the machine than about us.
hypothesis.settings.register_profile("patient", hypothesis.settings(), deadline=None)
hypothesis.settings.load_profile("patient")

# After `make test &` no program that tests start would hear of Ctrl-C.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes() -> None:
    """Workers must agree on the names of tests, and sets are in some: for all workers, these have the same order."""
    os.environ.setdefault("PYTHONHASHSEED", str(random.randrange(2**32)))


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """One real server for all tests that only add to its data folder."""
    with live_server(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture(scope="session")
def recordings() -> Path:
    """The folder of human recordings that lies beside the project on our own machines."""
    folder = SHARED / "audio"
    if not folder.is_dir():
        pytest.skip("the recordings are not here: they are kept outside the project")
    return folder
