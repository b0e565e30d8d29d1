"""A live server over a studio that a test can compute."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from chatterbox_plus.settings import Settings
from tests.api.fake_studio import FakeStudio
from tests.api.live_server import LiveServer, serve


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> FakeStudio:
    studio = FakeStudio(tmp_path_factory.mktemp("data"))
    (studio.library.outputs.root / "intro.wav").write_bytes(b"intro")
    return studio


@pytest.fixture(scope="module")
def server(studio: FakeStudio) -> Iterator[LiveServer]:
    with serve(Settings(), studio) as running:
        yield running


@pytest.fixture
def outputs(studio: FakeStudio) -> Path:
    return studio.library.outputs.root
