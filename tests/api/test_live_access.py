"""Who may use the WebSocket that speaks, and how a key is shown where no header can be set."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from chatterbox_plus.access.keys import KeyStore
from chatterbox_plus.api.access import COOKIE
from chatterbox_plus.settings import Api, Paths, Settings
from tests.api.live_server import LiveServer, serve
from tests.api.talking import PATH, START, Stream, closed, listen, listen_once, opened, say, text


def test_a_page_of_strangers_is_turned_away() -> None:
    with serve(Settings()) as server:
        with pytest.raises(InvalidStatus) as caught:
            opened(server, origin="https://evil.example")
        assert caught.value.response.status_code == 403
        with opened(server, origin=f"http://127.0.0.1:{server.port}") as socket:
            say(socket, START)
            assert listen(socket, until="started").order == ["started"]


@dataclass(frozen=True)
class House:
    server: LiveServer
    data: Path
    key: str
    slow: str
    short: str


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    data = tmp_path_factory.mktemp("house")
    store = KeyStore.at(data)
    keys = [store.add(name, rate_limit_per_minute=most)[1] for name, most in (("user", 0), ("slow", 1), ("short", 0))]
    store.close()
    with serve(Settings(api=Api(api_key_required=True), paths=Paths(data_dir=data))) as server:
        yield House(server, data, *keys)


def test_a_key_opens_in_any_way_that_a_client_can_show_it(house: House) -> None:
    ways: list[tuple[str, dict[str, Any], str | None]] = [
        ("", {"additional_headers": {"Authorization": f"Bearer {house.key}"}}, None),
        ("", {"additional_headers": {"x-api-key": house.key}}, None),
        (f"?api_key={house.key}", {}, None),
        ("", {"subprotocols": ["speech", f"api-key.{house.key}"]}, "speech"),
        ("", {"subprotocols": [f"api-key.{house.key}"]}, f"api-key.{house.key}"),
    ]
    for query, more, chosen in ways:
        with opened(house.server, PATH + query, **more) as socket:
            say(socket, START)
            assert listen(socket, until="started").order == ["started"]
            assert socket.subprotocol == chosen


def test_a_key_that_is_revoked_starts_nothing_more(house: House) -> None:
    store = KeyStore.at(house.data)
    with opened(house.server, additional_headers={"x-api-key": house.short}) as socket:
        say(socket, START, {"type": "end"})
        listen(socket)
        store.revoke("short")
        store.close()
        stream = Stream(order=["done"])
        while stream.order[-1] != "error":  # a running server hears of it within a second
            if stream.order[-1] in ("started", "done"):
                say(socket, {"type": "end"} if stream.order[-1] == "started" else START)
            listen_once(socket, stream)
        assert stream.of("error")[0]["error"]["code"] == "invalid_api_key"
        assert closed(socket) == 1008


def test_a_key_in_an_address_is_written_nowhere(house: House, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), opened(house.server, f"{PATH}?api_key={house.key}") as socket:
        say(socket, START)
        listen(socket, until="started")
    ours = [record for record in caplog.records if not record.name.startswith("websockets.client")]
    assert not [record for record in ours if house.key.split("_", 2)[2] in record.getMessage()]


@pytest.mark.parametrize("query", ["", "?api_key=cbp_00000000_" + "x" * 43, "?api_key=" + "&a=b" * 50])
def test_without_a_key_nobody_is_heard(query: str, house: House) -> None:
    with opened(house.server, PATH + query, subprotocols=["speech"]) as socket:
        (told,) = listen(socket, until="error").of("error")
        assert told["error"]["code"] == "invalid_api_key"
        assert closed(socket) == 1008


def test_the_session_of_our_page_is_no_help_to_another_page(house: House) -> None:
    session = house.server.post("/api/v1/session", {"key": house.key}).cookies[COOKIE]
    cookie = {"Cookie": f"{COOKIE}={session}"}
    ours = f"http://127.0.0.1:{house.server.port}"
    with opened(house.server, origin=ours, additional_headers=cookie) as socket:
        say(socket, START)
        listen(socket, until="started")
    with opened(house.server, additional_headers=cookie) as socket:
        assert listen(socket, until="error").of("error")[0]["error"]["code"] == "invalid_api_key"


def test_every_stream_counts_as_a_request(house: House) -> None:
    with opened(house.server, additional_headers={"x-api-key": house.slow}) as socket:
        say(socket, START, text("Once."), {"type": "end"})
        listen(socket)
        say(socket, START)
        (told,) = listen(socket, until="error").of("error")
        assert told["error"]["code"] == "rate_limited"
        assert closed(socket) == 1013
