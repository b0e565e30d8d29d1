from collections.abc import Iterator

import pytest

from chatterbox_plus.audio.decode import Decoder


@pytest.fixture(scope="session")
def decoder() -> Iterator[Decoder]:
    """One pool for all tests that do not harm it."""
    with Decoder() as shared:
        yield shared
