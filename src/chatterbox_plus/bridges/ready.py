"""Whether the bridges that the settings ask for can be built: known before anything starts."""

from importlib.util import find_spec

from chatterbox_plus.errors import SettingsError
from chatterbox_plus.settings import Settings, is_loopback


def check(settings: Settings) -> None:
    """Raises SettingsError for a missing package, and for a Wyoming open to those whom the server asks for a key."""
    bridges = settings.bridges
    if bridges.wyoming:
        _need("wyoming", "wyoming", "bridges.wyoming")
        if announces(settings):
            _need("zeroconf", "wyoming", "bridges.wyoming_announce")
        if settings.api.api_key_required and not (is_loopback(wyoming_host(settings)) or bridges.wyoming_without_key):
            raise SettingsError(
                "bridges.wyoming: Wyoming knows no keys, and this server asks for them. Keep it to this machine "
                "(bridges.wyoming_host: 127.0.0.1), or let others in without a key (bridges.wyoming_without_key: true)"
            )
    if bridges.mcp:
        _need("mcp", "mcp", "bridges.mcp")


def wyoming_host(settings: Settings) -> str:
    """Where Wyoming listens."""
    return settings.bridges.wyoming_host or settings.server.host


def announces(settings: Settings) -> bool:
    """Whether the network is told of Wyoming: only where others can reach it."""
    return settings.bridges.wyoming_announce and not is_loopback(wyoming_host(settings))


def _need(package: str, extra: str, setting: str) -> None:
    """The package is not imported for that."""
    if find_spec(package) is None:
        raise SettingsError(f"{setting} needs more packages: pip install 'chatterbox-plus[{extra}]'")
