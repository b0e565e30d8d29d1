"""`doctor`: what the programs that people have would ask of a running server, and what they would make of it."""

import argparse
import os
import time
from typing import TYPE_CHECKING, Any

from chatterbox_plus.commands import common

if TYPE_CHECKING:
    import httpx2

    from chatterbox_plus.bridges.replay import Answer, Client, Outcome, Step

ANSWER_S = 120.0  # without a byte: a large model may have to be loaded first
_BASES = ("/v1/audio/speech", "/v1")  # what people type into programs, and therefore here
_EPILOG = """\
examples:
  chatterbox-plus doctor
  chatterbox-plus doctor open-webui home-assistant --url http://speech.local:7860
  chatterbox-plus doctor sillytavern-chatterbox --page http://192.168.1.5:8000

Every request that such a program makes is made, and short texts are spoken; nothing is stored. Run it where the program
runs: names, proxies and keys are then those that it meets. A server that asks for keys gets the one in
CHATTERBOX_API_KEY, or --key (which other users of this machine can see). Status 1: some program would not work.
"""


class Sender:
    """Makes the requests of a replay. Use it in a `with`."""

    def __init__(self, url: str, key: str | None) -> None:
        """url: without /v1. Raises BadRequest for a key that cannot be one."""
        from chatterbox_plus.commands.server import connected

        self.url = url
        self._client = connected(url, None, ANSWER_S)
        self._keyed = connected(url, key, ANSWER_S)

    def __enter__(self) -> "Sender":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()
        self._keyed.close()

    def __call__(self, step: "Step") -> "Answer":
        """Raises NoServer."""
        from chatterbox_plus.bridges.replay import Answer
        from chatterbox_plus.commands.server import troubles

        client: httpx2.Client = self._keyed if step.key else self._client
        url, asked, first_s = self.url + step.path, time.monotonic(), None
        body = bytearray()
        with (
            troubles(self.url, "--url"),
            client.stream(
                step.method, url, json=step.json, params=dict(step.params) or None, headers=dict(step.headers)
            ) as reply,
        ):
            for chunk in reply.iter_bytes():
                first_s = first_s or time.monotonic() - asked
                body += chunk
        whole_s = time.monotonic() - asked
        headers = {name.lower(): value for name, value in reply.headers.items()}
        return Answer(reply.status_code, headers, bytes(body), first_s or whole_s, whole_s)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from chatterbox_plus.bridges.clients import CLIENTS

    parser.epilog = _EPILOG
    names = [client.name for client in CLIENTS]
    parser.add_argument(
        "programs",
        nargs="*",
        metavar="PROGRAM",
        help=f"only these: {', '.join(names)}",
    )
    parser.add_argument("--url", metavar="URL", help="the server (default: http://127.0.0.1 with the settings' port)")
    parser.add_argument("--key", metavar="KEY", help="an API key (default: CHATTERBOX_API_KEY)")
    parser.add_argument(
        "--page", metavar="URL", help="where SillyTavern's page is (default: port 8000 of the server's machine)"
    )
    common.add_common_flags(parser)


def run(args: argparse.Namespace) -> int:
    """Raises NoServer, BadRequest."""
    from chatterbox_plus.bridges.clients import CLIENTS
    from chatterbox_plus.bridges.replay import Place, replay
    from chatterbox_plus.commands.server import checked_url
    from chatterbox_plus.errors import BadRequest

    known = {client.name: client for client in CLIENTS}
    if unknown := [name for name in args.programs if name not in known]:
        raise BadRequest(f"there is no program {unknown[0]} here; there are {', '.join(known)}")
    settings = common.settings_of(args)
    key = args.key or os.environ.get(common.KEY_VARIABLE, "").strip() or None
    url = _without_route(checked_url(args.url or f"http://127.0.0.1:{settings.server.port}"))
    place = Place(url, checked_url(args.page) if args.page else _page_beside(url))
    told = []
    with Sender(url, key) as send:
        for client in [known[name] for name in dict.fromkeys(args.programs)] or CLIENTS:
            outcomes: list[Outcome] = []
            for outcome in replay(client, place, send):
                if not args.json:
                    common.print_lines([client.title] * (not outcomes) + _lines(outcome))
                outcomes.append(outcome)
            told.append(_told(client, outcomes))
    failed = [each["title"] for each in told if not each["ok"]]
    if args.json:
        common.print_json({"success": not failed, "url": url, "programs": told})
    else:
        common.talk(args, f"would not work: {', '.join(failed)}" if failed else f"all would work with {url}")
    return 1 if failed else 0


def _lines(outcome: "Outcome") -> list[str]:
    step, fault = outcome.step, outcome.fault
    line = f"  {'fails' if fault else 'ok':<6}{step.what:<40} {step.method} {step.path}"
    if fault is None:
        return [f"{line}  {outcome.answer.whole_s:.2f} s"]
    return [line, f"        {fault.problem}", f"        -> {fault.mend}"]


def _told(client: "Client", outcomes: list["Outcome"]) -> dict[str, Any]:
    requests = [
        {
            "what": outcome.step.what,
            "request": f"{outcome.step.method} {outcome.step.path}",
            "ok": outcome.fault is None,
            "status": outcome.answer.status,
            "seconds": round(outcome.answer.whole_s, 3),
            "problem": outcome.fault.problem if outcome.fault else None,
            "mend": outcome.fault.mend if outcome.fault else None,
        }
        for outcome in outcomes
    ]
    ok = all(request["ok"] for request in requests)
    return {"name": client.name, "title": client.title, "ok": ok, "requests": requests}


def _without_route(url: str) -> str:
    for end in _BASES:
        url = url.removesuffix(end)
    return url


def _page_beside(url: str) -> str:
    import httpx2

    parsed = httpx2.URL(url)
    return str(parsed.copy_with(port=8000, raw_path=b"/")).rstrip("/")
