"""What the three libraries' routes share: how a list is asked for and answered, how one file is found, how many go."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import Depends, Query, Request
from pydantic import BeforeValidator
from starlette.responses import Response

from chatterbox_plus.api.errors import Reply, now
from chatterbox_plus.api.state import ApiState
from chatterbox_plus.errors import BadRequest, FileTooLarge, InvalidAudio, InvalidOption, NotFound
from chatterbox_plus.library.catalog import Filter, Order, folders, summary
from chatterbox_plus.library.changes import Aside, Deleted, delete, delete_many, formats_of, outright
from chatterbox_plus.library.entries import Entry, Stat
from chatterbox_plus.library.index import Snapshot
from chatterbox_plus.library.naming import nfc, shown
from chatterbox_plus.library.store import Store
from chatterbox_plus.library.trash import Trash, Trashed

MAX_PAGE = 100
_MAX_KEPT_BYTES = 256 * 2**10  # of one page; longer ones are made anew each time
_WORDS = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}

Item = Callable[[Store, Snapshot, Entry, dict[str, Any]], dict[str, Any]]
"""What a list tells of a file; the last argument is its sidecar."""


def flag(value: object) -> object:
    """true/false, 1/0, yes/no or on/off, as queries and forms have them. Raises ValueError."""
    if isinstance(value, str):
        found = _WORDS.get(value.strip().lower())
        if found is None:
            raise ValueError("must be true or false")
        return found
    return value


Flag = Annotated[bool, BeforeValidator(flag)]
NAMED = "A path, or a bare name that only one folder has."
Search = Annotated[str | None, Query(description="Part of what is known about a file, in any case.", max_length=500)]
Folder = Annotated[str | None, Query(description="This folder and all below it.", max_length=1000)]
Project = Annotated[str | None, Query(description="The same as `folder`, which wins.", max_length=1000)]
Filenames = Annotated[
    list[str] | None,
    Query(
        description="Exact names, comma separated, looked for in all folders; unknown ones are passed over. Repeated "
        "parameters are one name each, commas and all. With them all other filters are ignored.",
        max_length=1000,
    ),
]
Confirm = Annotated[Flag, Query(description="Nothing is deleted without `true`.")]
All = Annotated[Flag, Query(description="`true` deletes everything where no filter is given.")]
SortOrder = Annotated[Literal["asc", "desc"] | None, Query(description="Which end comes first.")]


@dataclass(frozen=True)
class Page:
    """number: from 1. size: files."""

    number: int
    size: int


async def _page(
    page: Annotated[int, Query(ge=1, description="Which page, from 1.")] = 1,
    page_size: Annotated[int, Query(ge=1, le=MAX_PAGE, description="Files a page.")] = 50,
) -> Page:
    return Page(page, page_size)


OnePage = Annotated[Page, Depends(_page)]


@dataclass(frozen=True)
class Kind:
    """One of the three libraries, in words. key: what its list is called in replies."""

    key: str
    noun: str
    item: Item
    summed: bool = False  # whether the list ends with a summary
    prune: bool = True  # whether folders left empty mean nothing


async def list_reply(state: ApiState, store: Store, kind: Kind, found: Filter, order: Order, page: Page) -> Response:
    """One page, in both of the documented shapes."""
    body = await state.bridge.call(_listed, state, store, kind, found, order, page)
    return Response(b'%s,"timestamp":"%s"}' % (body[:-1], now().encode()), media_type="application/json")


async def folders_reply(state: ApiState, store: Store) -> Response:
    """Every folder, empty ones too."""
    told = await state.bridge.call(_folders, store)
    return Reply({"success": True, **told, "timestamp": now()})


async def details(state: ApiState, store: Store, kind: Kind, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a list would tell of the file meant by `name`, and its sidecar. Raises as `Store.resolve` does."""
    return await state.bridge.call(lambda: look(state, store, kind, store.resolve(name)))


def look(state: ApiState, store: Store, kind: Kind, path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a list would tell of the file, and its sidecar. Raises NotFound if it is gone."""
    relative, sidecar = store.relative(path), store.read_sidecar(path)
    try:
        status = path.stat()
        written = max((place.stat().st_mtime_ns for place in store.sidecar_places(path) if place.is_file()), default=0)
    except FileNotFoundError:
        raise store.not_found(relative) from None
    entry = Entry.of(relative, Stat(status.st_mtime_ns, status.st_size, status.st_ino), sidecar, written)
    item = kind.item(store, store.index.snapshot(), entry, sidecar)
    if not entry.measured:
        try:
            info = state.studio.decoder.probe(path)
        except (InvalidAudio, FileTooLarge, NotFound):  # is listed all the same
            return item, sidecar
        item |= {"duration_seconds": round(info.duration_s, 3), "sample_rate": info.rate}
    return item, sidecar


async def _every_word_known(request: Request) -> None:
    known = {*inspect.signature(request.scope["route"].endpoint).parameters, "sort_by", "sort_order"} - {"state"}
    for name in request.query_params:
        if name not in known:
            raise InvalidOption(f"There is no filter {shown(name)} here: nothing was deleted", param=name)


ExactFilters = Depends(_every_word_known)
"""For routes that delete many: a filter misspelt, or a page asked for, would delete what it was to spare. An order does
no harm: the query of a list may be sent as it is."""


async def delete_one(
    state: ApiState,
    store: Store,
    kind: Kind,
    name: str,
    *,
    confirm: bool,
    all_formats: bool = False,
    allow: Callable[[dict[str, Any]], None] = lambda _: None,
    trash: Trash | None = None,
    forever: bool = False,
) -> Response:
    """Deletes the file meant by `name`. allow: raises if one with this sidecar is not the caller's to delete.

    trash: where it goes unless it is to be gone forever, and the reply says so; None: there is none for such files.
    """
    if not confirm:
        raise BadRequest("Deletion requires confirm=true: nothing was deleted", param="confirm")

    kept: list[Trashed] = []
    aside = _into(None if forever else trash, kept)

    def work() -> Deleted:
        path = store.resolve(name)
        if nfc(path.name) != nfc(name.replace("\\", "/").rstrip("/").rpartition("/")[2]):
            raise store.not_found(name)  # what is deleted is named in full
        allow(store.read_sidecar(path))
        gone = delete(store, formats_of(store, path) if all_formats else [path], aside)
        if not gone.audio:
            raise store.not_found(name)
        return gone

    gone = await state.bridge.call(work)
    title = gone.audio[0].rpartition("/")[2]
    return _deleted_reply(f"{kind.noun} '{title}' deleted successfully", gone, None if trash is None else kept)


async def delete_some(
    state: ApiState,
    store: Store,
    kind: Kind,
    found: Filter,
    *,
    confirm: bool,
    all: bool,
    mine: Callable[[Entry], bool] = lambda _: True,
    trash: Trash | None = None,
    forever: bool = False,
) -> Response:
    """Deletes what a list with that filter shows. all: whether no filter at all means everything. trash: as above."""
    if not confirm:
        raise BadRequest("Bulk deletion requires confirm=true: nothing was deleted", param="confirm")
    if found.is_open and not all:
        raise BadRequest("Bulk deletion needs a filter, or all=true for everything: nothing was deleted", param="all")

    kept: list[Trashed] = []
    aside = _into(None if forever else trash, kept)

    def work() -> Deleted:
        snapshot = store.index.snapshot()
        found.check_names(snapshot)
        below = found.folder if found == Filter(folder=found.folder) else None
        entries = found.of(snapshot, Order("filename"))
        return delete_many(store, entries, prune=kind.prune, below=below, mine=mine, aside=aside)

    gone = await state.bridge.call(work)
    message = f"Deleted {len(gone.audio)} {kind.noun} file(s)"
    if not gone.audio:
        message = f"No {kind.noun} matched: already clean"
    if gone.folders:
        message += f" and cleaned up {len(gone.folders)} empty folder(s)"
    if gone.spared:
        message += f"; {gone.spared} of other projects stayed"
    return _deleted_reply(message, gone, None if trash is None else kept)


def utc(entry: Entry) -> str:
    """When the file was made, as replies say it."""
    return entry.created.isoformat(timespec="microseconds").replace("+00:00", "Z")


def seconds(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _listed(state: ApiState, store: Store, kind: Kind, found: Filter, order: Order, page: Page) -> bytes:
    snapshot = store.measuring.snapshot(state.studio.decoder.probe)
    return snapshot.kept(
        ("page", found, order, page),
        lambda: _rendered(store, snapshot, kind, found, order, page),
        if_worth=lambda body: len(body) <= _MAX_KEPT_BYTES,
    )


def _rendered(store: Store, snapshot: Snapshot, kind: Kind, found: Filter, order: Order, page: Page) -> bytes:
    entries = found.of(snapshot, order)
    shown_ones = entries[(page.number - 1) * page.size : page.number * page.size]
    items = [kind.item(store, snapshot, entry, store.read_sidecar(store.root / entry.path)) for entry in shown_ones]
    total, pages = len(entries), max(1, -(-len(entries) // page.size))
    totals = {"total_files": total, "total_voices": total}
    there = {"total_pages": pages, "has_next": page.number < pages, "has_previous": page.number > 1}
    body: dict[str, Any] = {
        "success": True,
        kind.key: items,
        "count": len(items),
        "page": page.number,
        "page_size": page.size,
        **there,
        "total": total,
        **totals,
        "pagination": {"current_page": page.number, "page_size": page.size, **totals, **there},
    }
    if kind.summed:
        body["summary"] = summary(entries)
    return bytes(Reply(body).body)


def _folders(store: Store) -> dict[str, Any]:
    snapshot = store.index.snapshot()
    return snapshot.kept("folders", lambda: folders(snapshot))


def _into(trash: Trash | None, kept: list[Trashed]) -> Aside:
    return outright if trash is None else lambda path: trash.keeping(path, kept)


def _deleted_reply(message: str, gone: Deleted, kept: list[Trashed] | None) -> Response:
    """kept: what is in the trash now; None where there is no talk of one."""
    told: dict[str, Any] = {
        "success": True,
        "message": message,
        "deleted_files": gone.files,
        "deleted_file": gone.audio[0] if gone.audio else None,
        "deleted_count": len(gone.audio),
        "deleted_folders": gone.folders,
        "skipped_count": gone.spared,
    }
    if kept is not None:
        first = kept[0] if kept else None
        told |= {
            "trash_id": first and first.id,
            "restore_until": first and first.restore_until,
            "trash_ids": [entry.id for entry in kept],
        }
    return Reply({**told, "timestamp": now()})
