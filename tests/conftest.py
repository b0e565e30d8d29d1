"""What several rooms' tests share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live import LiveServer, live_server

SHARED = Path(__file__).resolve().parents[2] / "shared"


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
