import errno
import socket
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.net.web import Web, Wire, watched, web_server


@pytest.fixture
def web() -> Iterator[Web]:
    with web_server() as running:
        yield running


@pytest.fixture
def wire() -> Iterator[Wire]:
    with watched() as seen:
        yield seen


@pytest.fixture
def refuse_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every connection fails once the interpreter has told of it: no test reaches the internet."""

    class Refusing(socket.socket):
        def connect(self, address: Any) -> None:
            sys.audit("socket.connect", self, address)
            raise ConnectionRefusedError(errno.ECONNREFUSED, "refused by the test")

    monkeypatch.setattr(socket, "socket", Refusing)
