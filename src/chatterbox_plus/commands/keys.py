"""`keys`: who may use the server. A running one knows of a change within a second."""

import argparse
import sys
from contextlib import closing
from dataclasses import asdict
from typing import Any

from chatterbox_plus.access.caller import Role
from chatterbox_plus.access.key import Key
from chatterbox_plus.commands import common

_EPILOG = """\
examples:
  chatterbox-plus keys add "Living room" --project home
  chatterbox-plus keys add me --role admin
  chatterbox-plus keys list
  chatterbox-plus keys revoke "Living room"

The server asks for keys when api.api_key_required (CHATTERBOX_API_KEY_REQUIRED) is true.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = _EPILOG
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    add = actions.add_parser("add", help="make a key and print it, once", allow_abbrev=False)
    add.add_argument("name", help="whose it is, or what for")
    add.add_argument(
        "--role",
        choices=[role.value for role in Role],
        default=Role.USER.value,
        help="user: its own project and the shared voices (default); admin: everything",
    )
    add.add_argument("--project", metavar="FOLDER", help="where a user's files lie; default: from the name")
    add.add_argument(
        "--rate-limit",
        type=int,
        metavar="N",
        help="requests a minute, 0 for no limit; default: the server's api.rate_limit_per_minute",
    )
    listing = actions.add_parser("list", help="what keys there are", allow_abbrev=False)
    listing.add_argument("--revoked", action="store_true", help="those that were revoked, too")
    revoke = actions.add_parser("revoke", help="end a key for good", allow_abbrev=False)
    revoke.add_argument("key", help="its name or id")
    for action in (add, listing, revoke):
        common.add_common_flags(action)


def run(args: argparse.Namespace) -> int:
    from chatterbox_plus.house import open_keys

    settings = common.settings_of(args)
    with closing(open_keys(settings)) as store:
        if args.action == "add":
            key, text = store.add(
                args.name, role=Role(args.role), project=args.project, rate_limit_per_minute=args.rate_limit
            )
            if args.json:
                common.print_json({"success": True, "key": text, **_shown(key)})
            else:
                common.talk(args, f"This is the only time the key for {store.where} is shown:")
                common.print_lines([text])
            if not settings.api.api_key_required:
                common.talk(args, "The server does not ask for keys yet: set CHATTERBOX_API_KEY_REQUIRED=true")
        elif args.action == "list":
            _list(args, store.listed(revoked=args.revoked))
        else:
            key = store.revoke(args.key)
            if args.json:
                common.print_json({"success": True, **_shown(key)})
            else:
                common.talk(args, f"{key.name} ({key.id}) is revoked")
    return 0


def _list(args: argparse.Namespace, keys: list[Key]) -> None:
    if args.json:
        common.print_json({"success": True, "keys": [_shown(key) for key in keys]})
        return
    rows = [[str(value if value is not None else "") for value in _shown(key).values()] for key in keys]
    if not sys.stdout.isatty():
        common.print_lines("\t".join(row) for row in rows)
        return
    if not keys:
        common.talk(args, "There are no keys yet: chatterbox-plus keys add NAME")
        return
    from rich.console import Console
    from rich.table import Table

    # The id must be readable whole on a narrow terminal, to revoke by: times are shortened to dates.
    columns = ["id", "name", "role", "project", "per min", "made", "last used", *["revoked"][: args.revoked]]
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column in ("id", "made", "last used", "revoked"))
    for identity, name, role, project, rate, *times in rows:
        table.add_row(identity, name, role, project, rate, *(time[:10] for time in times[: 2 + args.revoked]))
    Console().print(table)


def _shown(key: Key) -> dict[str, Any]:
    """Everything but the hash."""
    return {name: value for name, value in asdict(key).items() if name != "digest"}
