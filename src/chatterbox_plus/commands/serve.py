"""`serve`: the HTTP API on this machine, or on the network."""

import argparse
import asyncio
import ctypes
import errno
import logging
import math
import os
import signal
import socket
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, nullcontext
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from chatterbox_plus import __version__, logs
from chatterbox_plus.bridges.ready import check as check_bridges
from chatterbox_plus.bridges.ready import wyoming_host
from chatterbox_plus.commands import flags
from chatterbox_plus.errors import BadRequest, ModelLoadError, SettingsError
from chatterbox_plus.settings import ENVIRONMENT, SECRET, Settings, is_loopback, load

if TYPE_CHECKING:
    from chatterbox_plus.access.keyring import Keyring
    from chatterbox_plus.synthesis.studio import Studio

_EPILOG = """\
examples:
  chatterbox-plus serve
  chatterbox-plus serve --port 8000 --data-dir ~/speech --log-level warning

Everything can be set in config.yaml and in CHATTERBOX_* variables too; see config.example.yaml.
"""
_GOODBYE_S = 1  # after `drain_seconds`, for telling those that are not done by then
_M_ARENA_MAX = -8  # malloc.h
_BACKLOG = 2048  # connections that may wait to be accepted; uvicorn's own default
_log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = _EPILOG
    parser.usage = "%(prog)s [options]"
    flags.add_setting_flags(parser, [name for name, place in ENVIRONMENT.items() if ".".join(place) not in SECRET])


def run(args: argparse.Namespace) -> int:
    """Serve until told to stop. Raises SettingsError; BadRequest for an address that cannot be had."""
    settings, warnings = load(os.environ, flags.settings_from(args))
    check_bridges(settings)
    _share_memory()
    _start_log(settings)
    for warning in warnings:
        _log.warning("%s", warning)
    listener, wyoming = _listen(settings.server.host, settings.server.port), None
    if settings.bridges.wyoming:
        wyoming = _listen(
            wyoming_host(settings), settings.bridges.wyoming_port, "bridges.wyoming_host", "--wyoming-port"
        )
    server = None
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        from chatterbox_plus.house import build_studio

        with (
            closing(listener),
            closing(wyoming) if wyoming else nullcontext(),
            closing(build_studio(settings)) as studio,
            ThreadPoolExecutor(1) as pool,
        ):
            starting = pool.submit(_start, studio)  # the children start while the API is imported

            import uvicorn

            from chatterbox_plus.api.app import create_app
            from chatterbox_plus.api.middleware import max_json_bytes
            from chatterbox_plus.api.protocol import Protocol, SocketProtocol

            starting.result()
            app = create_app(settings, studio, wyoming)
            config = uvicorn.Config(
                app,
                loop="asyncio" if sys.platform == "win32" else "uvloop",
                http=Protocol,
                ws=SocketProtocol,
                ws_max_size=max_json_bytes(settings.api.max_text_length),
                ws_per_message_deflate=False,  # audio is as small as it gets
                log_config=None,
                access_log=False,  # the app writes its own, with the request's id
                server_header=False,
                timeout_graceful_shutdown=math.ceil(settings.server.drain_seconds) + _GOODBYE_S,
            )

            class Server(uvicorn.Server):
                hurry: Callable[[], object] | None = None  # there while a second signal has something to end

                async def startup(self, sockets: list[socket.socket] | None = None) -> None:
                    await super().startup(sockets)
                    if self.started:
                        _introduce(settings, listener, wyoming, studio, app.state.api.keyring)

                async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
                    loop = asyncio.get_running_loop()
                    loop.call_later(settings.server.drain_seconds, app.state.api.bridge.stop)
                    if self.server_state.tasks:
                        self.hurry = lambda: loop.call_soon_threadsafe(app.state.api.bridge.stop)
                        _ask_for_patience(len(self.server_state.tasks), settings.server.drain_seconds)
                    await super().shutdown(sockets)

                def handle_exit(self, sig: int, frame: FrameType | None) -> None:
                    if self.hurry:  # clients are still told; uvicorn would drop them, with a traceback for each
                        self.hurry()
                        self.hurry = None
                    else:
                        super().handle_exit(sig, frame)

            server = Server(config)
            server.run([listener])
    except KeyboardInterrupt:  # uvicorn repeats the signal once it has stopped
        return 0 if server and server.started else 130
    return 0


def _share_memory() -> None:
    """glibc gives every thread a heap of its own (up to eight for each core) and seldom gives one back: with a hundred
    threads a server only ever grows. Two heaps are as fast here, where Python lets one thread at a time allocate."""
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(_M_ARENA_MAX, 2)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _start(studio: "Studio") -> None:
    try:
        studio.start()
    except ModelLoadError as error:  # requests will be told; joining and the library work
        _log.error("%s", error.message)


def _start_log(settings: Settings) -> None:
    """Log lines to stderr, and to a rotated file if one is set. Raises SettingsError if it cannot be written."""
    server, paths = settings.server, settings.paths
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    if server.log_file_path:
        named = Path(server.log_file_path)
        path = paths.under_data(paths.logs_dir / named if named.name == str(named) else named)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handlers.append(
                RotatingFileHandler(
                    path,
                    maxBytes=round(server.log_file_max_size_mb * 2**20),
                    backupCount=server.log_file_backup_count,
                    encoding="utf-8",
                )
            )
        except OSError as error:
            raise SettingsError(f"server.log_file_path cannot be written: {error.strerror}") from None
    logs.set_up(server.log_level, server.log_format, handlers)


def _listen(host: str, port: int, setting: str = "server.host", flag: str = "--port") -> socket.socket:
    """The listening socket. Taken before anything is started, so that a second server stops at once. setting, flag:
    what to change where it cannot be had."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
        # Connections inherit it. asyncio sets it only on sockets it opened itself, and without it the second packet of
        # every reply waits for the client's delayed acknowledgement: 40 ms.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listener
    except socket.gaierror:
        raise SettingsError(f"{setting}: there is no such address here: {host}") from None
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            hint = f"is another server running? {flag} takes another one, 0 any free one"
            raise BadRequest(f"port {port} is in use: {hint}") from None
        raise BadRequest(f"cannot listen on {host} port {port}: {error.strerror}") from None


def _introduce(
    settings: Settings,
    listener: socket.socket,
    wyoming: socket.socket | None,
    studio: "Studio",
    keyring: "Keyring | None",
) -> None:
    info, port = studio.engines.get("auto").info, listener.getsockname()[1]
    url = f"http://{_shown(settings.server.host)}:{port}"
    others = [model.name for model in studio.engines.installed() if not model.preview]
    hint = f"CHATTERBOX_MODEL={others[0]} makes {others[0]} speak" if others else "until a neural model is installed"
    voice = f"{info.name}, a preview voice{';' if others else ''} {hint}" if info.preview else info.name
    lines = [
        f"Chatterbox Plus {__version__} is ready at {url}",
        f"  speaks with: {voice}",
    ]
    if wyoming is not None:
        lines += [f"  Home Assistant (Wyoming): tcp://{_shown(wyoming_host(settings))}:{wyoming.getsockname()[1]}"]
    if settings.bridges.mcp:
        lines += [f"  MCP: {url}/mcp"]
    lines += ["  documentation: /docs    to stop: Ctrl-C"]
    if keyring is not None and not len(keyring):
        lines += ["  nobody has a key yet: chatterbox-plus keys add NAME --role admin"]
    lines += _warning(settings, port)
    if wyoming is not None and not is_loopback(wyoming_host(settings)):
        lines += ["  note: whoever reaches Wyoming's port can let this machine speak, in any voice: it knows no keys"]
    sys.stderr.write("\n".join(lines) + "\n")
    sys.stderr.flush()


def _shown(host: str) -> str:
    """As somebody on this machine would type it."""
    name = "localhost" if host in ("0.0.0.0", "::", "127.0.0.1", "::1") else host
    return f"[{name}]" if ":" in name else name


def _ask_for_patience(under_way: int, seconds: float) -> None:
    sys.stderr.write(
        f"Stopping. Requests under way: {under_way}; they get {seconds:g} s. Ctrl-C again ends them now.\n"
    )
    sys.stderr.flush()


def _warning(settings: Settings, port: int) -> list[str]:
    """What must not be missed: who else can use the server."""
    server, api = settings.server, settings.api
    elsewhere = [name for name in (*server.trusted_hosts, urlsplit(server.public_url).hostname or "") if name]
    if api.api_key_required or (server.loopback and all(map(is_loopback, elsewhere))):
        return []
    lines = [
        "WARNING: OTHERS CAN REACH THIS SERVER, AND IT ASKS NOBODY FOR A KEY.",
        f"Whoever reaches port {port} can use every voice, read and delete every file, and run this machine hot.",
        "To ask for keys:   chatterbox-plus keys add NAME   and set   CHATTERBOX_API_KEY_REQUIRED=true",
        "To keep others out:   CHATTERBOX_HOST=127.0.0.1",
    ]
    _log.warning("others can reach this server, and it asks nobody for a key")
    wide = max(map(len, lines))
    edge = "!" * (wide + 6)
    return ["", edge, *(f"!! {line:<{wide}} !!" for line in lines), edge, ""]
