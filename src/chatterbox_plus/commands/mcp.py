"""`mcp`: the Model Context Protocol over stdin and stdout, for assistants that start a program to speak with.

It makes no sound itself: it asks a running server. Assistants start one such program for each of their windows, and
each would load the models once more; the server has them, and the voices, the keys and the files.
"""

import argparse
import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from chatterbox_plus.commands import common, flags
from chatterbox_plus.errors import BadRequest, MissingExtra

if TYPE_CHECKING:
    from chatterbox_plus.bridges.mcp_house import House
    from chatterbox_plus.bridges.mcp_tools import AnyContext

_EPILOG = """\
examples:
  chatterbox-plus mcp
  chatterbox-plus mcp --folder ~/speech
  chatterbox-plus mcp --server https://speech.example

An assistant starts it, and speaks the Model Context Protocol with it over stdin and stdout. Its tools, speak, convert
and list_voices, ask a running server. One that asks for keys gets the one in CHATTERBOX_API_KEY, or --key (which other
users of this machine can see). `serve --mcp` has the same tools at /mcp, for assistants that connect.
"""
_CONNECT_S = 5.0  # to reach the server; how long its work may take is the server's to say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = _EPILOG
    parser.usage = "%(prog)s [options]"
    parser.add_argument(
        "--server", "--url", metavar="URL", help="default: http://127.0.0.1 with the port of the settings"
    )
    parser.add_argument("--key", metavar="KEY", help="an API key (default: CHATTERBOX_API_KEY)")
    parser.add_argument("--folder", metavar="DIR", type=Path, help="save what is made there, too")
    parser.add_argument("--quiet", action="store_true", help="nothing on stderr but errors")
    flags.add_setting_flags(parser)


def run(args: argparse.Namespace) -> int:
    """Until stdin ends. Raises MissingExtra, BadRequest for what is no URL and no key."""
    if find_spec("mcp") is None:
        raise MissingExtra("mcp needs more packages: pip install 'chatterbox-plus[mcp]'")
    import httpx2

    from chatterbox_plus.bridges.mcp_house import House
    from chatterbox_plus.bridges.mcp_tools import build
    from chatterbox_plus.commands.server import checked_url
    from chatterbox_plus.settings import is_loopback

    settings = common.settings_of(args)
    url = checked_url(args.server or f"http://127.0.0.1:{settings.server.port}")
    key = args.key or os.environ.get(common.KEY_VARIABLE, "").strip()
    if not key.isascii():
        raise BadRequest("the key has characters in it that no key has")
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    timeout = httpx2.Timeout(None, connect=_CONNECT_S)
    proxied = not is_loopback(httpx2.URL(url).host)  # none leads to this very machine
    folder = args.folder.expanduser().absolute() if args.folder else None

    @asynccontextmanager
    async def house(_: "AnyContext") -> AsyncIterator["House"]:
        async with httpx2.AsyncClient(base_url=url, headers=headers, timeout=timeout, trust_env=proxied) as client:
            yield House(client, url, folder)

    # A thread waits for stdin, and would be waited for. There is nothing to put away, and the server sees who left.
    signal.signal(signal.SIGINT, lambda number, _: os._exit(128 + number))
    common.talk(args, f"The tools of the server at {url}, for an assistant on stdin. To stop: Ctrl-C")
    asyncio.run(build(house, find_local=_local).run_stdio_async())
    return 0


def _local(name: str) -> Path | None:
    """The file of this machine that a full path means; any other name means a stored recording, wherever the assistant
    started this. Raises BadRequest for a path that leads to no audio."""
    return common.local_audio(name) if Path(name).expanduser().is_absolute() else None
