"""A bridge that cannot be built, or that would let strangers in, stops the start and says what to do."""

import sys

import pytest

from chatterbox_plus.api.app import create_app
from chatterbox_plus.bridges.ready import check, wyoming_host
from chatterbox_plus.errors import SettingsError
from chatterbox_plus.settings import Api, Bridges, Server, Settings

KEYS = Api(api_key_required=True)


@pytest.mark.parametrize(
    "package, extra, bridges",
    [
        ("wyoming", "wyoming", Bridges(wyoming=True)),
        ("zeroconf", "wyoming", Bridges(wyoming=True, wyoming_host="0.0.0.0")),
        ("mcp", "mcp", Bridges(mcp=True)),
    ],
)
def test_a_missing_package_is_named_with_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, package: str, extra: str, bridges: Bridges
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(SettingsError, match=rf"pip install 'chatterbox-plus\[{extra}\]'"):
        create_app(Settings(bridges=bridges))
    create_app(Settings())  # needs none of it


@pytest.mark.parametrize(
    "settings",
    [
        Settings(api=KEYS, bridges=Bridges(wyoming=True, wyoming_host="0.0.0.0")),
        Settings(api=KEYS, bridges=Bridges(wyoming=True), server=Server(host="192.0.2.7")),
    ],
)
def test_wyoming_lets_nobody_in_whom_the_server_asks_for_a_key(settings: Settings) -> None:
    with pytest.raises(SettingsError, match="wyoming_without_key"):
        check(settings)


@pytest.mark.parametrize(
    "settings",
    [
        Settings(api=KEYS, bridges=Bridges(wyoming=True)),
        Settings(api=KEYS, bridges=Bridges(wyoming=True, wyoming_host="127.0.0.1"), server=Server(host="192.0.2.7")),
        Settings(api=KEYS, bridges=Bridges(wyoming=True, wyoming_host="0.0.0.0", wyoming_without_key=True)),
        Settings(bridges=Bridges(wyoming=True, wyoming_host="0.0.0.0")),
        Settings(api=KEYS, bridges=Bridges(mcp=True), server=Server(host="192.0.2.7")),
    ],
)
def test_these_may_start(settings: Settings) -> None:
    check(settings)


def test_wyoming_listens_where_the_server_does_unless_told_otherwise() -> None:
    assert wyoming_host(Settings(server=Server(host="192.0.2.7"))) == "192.0.2.7"
    assert wyoming_host(Settings(bridges=Bridges(wyoming_host="192.0.2.8"))) == "192.0.2.8"
