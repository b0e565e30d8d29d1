"""`models`: which models there are, and how they come and go. A running server knows of a change at once."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chatterbox_plus.commands import common
from chatterbox_plus.models.catalog import CATALOG, FAMILIES
from chatterbox_plus.settings import Settings

if TYPE_CHECKING:
    from chatterbox_plus.models.shelf import Installed, Place, Shelf

_EPILOG = """\
examples:
  chatterbox-plus models list
  chatterbox-plus models pull nano
  chatterbox-plus models add hindi ~/Downloads/Chatterbox-Multilingual-hi
  chatterbox-plus models remove nano

Models come from the Hugging Face hub: HF_TOKEN, HF_ENDPOINT and the proxies of the environment are heeded. A pull
that was stopped goes on where it was. A folder that was added stays yours, whatever is removed here.
"""
_MB = 10**6


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = _EPILOG
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    actions.add_parser("list", help="the models there are, here or not", allow_abbrev=False)
    pull = actions.add_parser("pull", help="fetch a model, or what is new of it", allow_abbrev=False)
    pull.add_argument("name", choices=[*CATALOG], metavar="NAME", help=", ".join(CATALOG))
    add = actions.add_parser("add", help="use a folder of model files, where it lies", allow_abbrev=False)
    add.add_argument("name", metavar="NAME", help="what requests shall call it")
    add.add_argument("folder", metavar="DIR", type=Path, help="where the files are")
    add.add_argument("--family", choices=[*FAMILIES], help="what it is made like; default: as its files say")
    remove = actions.add_parser("remove", help="delete a pulled model, forget an added one", allow_abbrev=False)
    remove.add_argument("name", metavar="NAME")
    info = actions.add_parser("info", help="all about one model", allow_abbrev=False)
    info.add_argument("name", metavar="NAME")
    for action in actions.choices.values():
        common.add_common_flags(action)


def run(args: argparse.Namespace) -> int:
    from chatterbox_plus.house_models import open_shelf

    settings = common.settings_of(args)
    _DOES[args.action](args, settings, open_shelf(settings))
    return 0


def _list(args: argparse.Namespace, settings: Settings, shelf: "Shelf") -> None:
    places = shelf.look()
    if args.json:
        common.print_json({"success": True, "models": [_told(place) for place in places]})
        return
    rows = [_cells(place, settings) for place in places]
    if not sys.stdout.isatty():
        common.print_lines("\t".join(row) for row in rows)
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("name", "what it is", "here", "size"):
        table.add_column(column, overflow="fold", no_wrap=column == "name")
    for row in rows:
        table.add_row(*map(Text, row))
    Console().print(table)


def _pull(args: argparse.Namespace, settings: Settings, shelf: "Shelf") -> None:
    from chatterbox_plus.house_models import open_hub
    from chatterbox_plus.models.pulling import pull

    hub = open_hub(settings)
    with common.progress_bar(args, f"Pulling {args.name}", " MB") as bar:

        def progress(done: int, total: int, file: str) -> None:
            bar.describe(file)
            bar(done / _MB, total / _MB)

        found = common.interruptible(lambda cancel: pull(shelf, hub, args.name, progress, cancel))
    _done(args, found, f"{found.name} is here, {found.size / _MB:,.0f} MB")


def _add(args: argparse.Namespace, settings: Settings, shelf: "Shelf") -> None:
    found = shelf.add(args.name, args.folder, args.family)
    _done(args, found, f"{found.name} is a {found.family} model")


def _remove(args: argparse.Namespace, settings: Settings, shelf: "Shelf") -> None:
    place = shelf.remove(args.name)
    if args.json:
        common.print_json({"success": True, **_told(place)})
    else:
        common.talk(args, f"{args.name} is removed" + (", and still in the hub's cache" if place.installed else ""))


def _info(args: argparse.Namespace, settings: Settings, shelf: "Shelf") -> None:
    told = _told(shelf.place(args.name))
    if args.json:
        common.print_json({"success": True, **told})
        return
    files = told.pop("files")
    common.print_lines(f"{name}\t{_shown(value)}" for name, value in told.items() if value not in (None, [], {}))
    common.print_lines(f"file\t{file}" for file in files.values())


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return " ".join(f"{name}={number:g}" for name, number in value.items())
    return " ".join(value) if isinstance(value, list) else str(value)


def _done(args: argparse.Namespace, found: "Installed", remark: str) -> None:
    """stdout gets the folder."""
    if args.json:
        from chatterbox_plus.models.shelf import Place

        common.print_json({"success": True, **_told(Place(found.name, found))})
        return
    common.talk(args, remark)
    common.print_lines([common.shown_path(found.folder)])


def _cells(place: "Place", settings: Settings) -> list[str]:
    told = _told(place)
    here = told["source"] or ("problem" if place.problem else "begun" if place.begun else "")
    size = told["size_bytes"] or told["download_bytes"]
    default = ", default" if place.name == settings.models.model else ""
    return [place.name, told["title"], here + default, f"{size / _MB:,.0f} MB" if size else ""]


def _told(place: "Place") -> dict[str, Any]:
    from chatterbox_plus.engines.chatterbox.families import options_of, sounds_of
    from chatterbox_plus.models.pulling import revision

    here, spec = place.installed, CATALOG.get(place.name)
    known = here or spec
    family = here.family if here else spec.family if spec else None
    return {
        "name": place.name,
        "title": known.title if known else place.name,
        "family": family,
        "languages": list(known.languages) if known else [],
        "options": dict(options_of(family)),
        "sounds": list(sounds_of(family)),
        "installed": here is not None,
        "source": here.source if here else None,
        "folder": str(here.folder) if here else None,
        "size_bytes": here.size if here else None,
        "download_bytes": spec.download_bytes if spec else None,
        "repository": spec.repo if spec else None,
        "revision": revision(here) if here else None,
        "licence": spec.licence if spec else None,
        "problem": place.problem,
        "unfinished": place.begun,
        "files": {role: str(path) for role, path in here.paths.items()} if here else {},
    }


_DOES: dict[str, Callable[[argparse.Namespace, Settings, "Shelf"], None]] = {
    "list": _list,
    "pull": _pull,
    "add": _add,
    "remove": _remove,
    "info": _info,
}
