"""Which files a list shows, in which order; a bulk delete takes exactly what the list with the same filter shows."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time
from itertools import islice
from typing import Any

from chatterbox_plus.errors import Ambiguous, InvalidOption
from chatterbox_plus.library.entries import Entry, comparable
from chatterbox_plus.library.index import Snapshot
from chatterbox_plus.library.naming import nfc, parts, shown

_KEYS: dict[str, Callable[[Entry], Any]] = {
    "name": lambda entry: comparable(entry.name),
    "filename": lambda entry: comparable(entry.filename),
    "created_date": lambda entry: entry.created,
    "file_size": lambda entry: entry.stat.size,
    "duration": lambda entry: entry.duration_s,
    "usage_count": lambda entry: entry.usage_count,
    "generation_type": lambda entry: entry.type,
}
_MAX_DEPTH = 32  # of the nested folders; deeper ones are in the flat list


@dataclass(frozen=True)
class Order:
    """by: name, filename, created_date, file_size, duration, usage_count or generation_type. What has no duration comes
    last either way; what is equal stays in the order of the paths."""

    by: str
    descending: bool = False

    def of(self, snapshot: Snapshot) -> Sequence[Entry]:
        return snapshot.kept(("order", self), lambda: self._sorted(_by_path(snapshot)))

    def _sorted(self, ordered: Sequence[Entry]) -> list[Entry]:
        key = _KEYS[self.by]
        known = [entry for entry in ordered if key(entry) is not None]
        known.sort(key=key, reverse=self.descending)
        return known + [entry for entry in ordered if key(entry) is None]


@dataclass(frozen=True, kw_only=True)
class Filter:
    """What must all be true of a file. Names alone count when there are any: nothing else is looked at then."""

    folder: str = ""  # the folder and all below, forward slashes; "" is everything
    search: str = ""  # part of `Entry.words`, in any case
    anywhere: str = ""  # the same, or part of `Entry.said`
    tag: str = ""  # one of its tags, in any case
    type: str = ""  # tts, vc, concat or unknown
    names: tuple[str, ...] = ()  # exact file names, or paths; looked for everywhere, unknown ones passed over
    since: datetime | None = None  # both inclusive
    until: datetime | None = None

    @property
    def is_open(self) -> bool:
        """Whether everything passes."""
        return self == Filter()

    def of(self, snapshot: Snapshot, order: Order) -> Sequence[Entry]:
        """The files that pass, in that order."""
        ordered = order.of(snapshot)
        if self.names:
            paths = {entry.path for entries in self.named(snapshot).values() for entry in entries}
            return [entry for entry in ordered if entry.path in paths]
        if self.is_open:
            return ordered
        return [entry for entry in ordered if self._passes(entry)]

    def named(self, snapshot: Snapshot) -> dict[str, list[Entry]]:
        """For each name that is known: the file at that path, else those of that name nearest to the root."""
        by_name = snapshot.kept("names", lambda: _by_name(snapshot))
        found = {}
        for name in self.names:
            wanted = nfc("/".join(parts(name)))
            candidates = [
                entry
                for entry in by_name.get(wanted.rpartition("/")[2], ())
                if nfc(entry.path) == wanted or nfc(entry.path).endswith("/" + wanted)
            ]
            depth = min((entry.path.count("/") for entry in candidates), default=0)
            if nearest := [entry for entry in candidates if entry.path.count("/") == depth]:
                found[name] = nearest
        return found

    def check_names(self, snapshot: Snapshot) -> None:
        """Raises Ambiguous for a bare name that several folders have: a delete must not guess."""
        for name, entries in self.named(snapshot).items():
            if len(entries) > 1:
                some = ", ".join(shown(entry.path) for entry in entries[:5])
                raise Ambiguous(f"Several folders have {shown(name)}: {some}. Name one of them.")

    def _passes(self, entry: Entry) -> bool:
        return (
            (not self.folder or nfc(entry.path).startswith(self.folder + "/"))
            and (not self.search or self.search in entry.words)
            and (not self.anywhere or self.anywhere in entry.words or self.anywhere in entry.said)
            and (not self.tag or any(comparable(tag) == self.tag for tag in entry.tags))
            and (not self.type or entry.type == self.type)
            and (self.since is None or entry.created >= self.since)
            and (self.until is None or entry.created <= self.until)
        )


def filter_of(
    *,
    folder: str | None = None,
    search: str | None = None,
    anywhere: str | None = None,
    tag: str | None = None,
    type: str | None = None,
    filenames: Sequence[str] | None = None,
    date_from: str | None = None,
    date_to: str | None = None,
) -> Filter:
    """A filter from what a client sent; blank is the same as not sent.

    filenames: one text is split at commas; of several each is one name, commas and all. date_from, date_to: ISO 8601,
    UTC where no offset is said; a date alone is all of that day. Raises InvalidOption for what is no date or no name,
    PermissionDenied for a name that leads out.
    """
    names = filenames or ()
    if len(names) == 1:
        names = [name.strip() for name in names[0].split(",")]
    return Filter(
        folder=nfc("/".join(parts(folder.strip()))) if folder and folder.strip(" /") else "",
        search=comparable((search or "").strip()),
        anywhere=comparable((anywhere or "").strip()),
        tag=comparable((tag or "").strip()),
        type=type or "",
        names=tuple(dict.fromkeys(name for name in names if name)),
        since=_day(date_from, "date_from", time.min),
        until=_day(date_to, "date_to", time.max),
    )


def siblings(snapshot: Snapshot, entry: Entry) -> list[Entry]:
    """All files of the same generation, by path; the file itself too, even if it is newer than the snapshot."""
    by_path = _by_path(snapshot)
    start = entry.stem + "."
    found = [entry]
    for other in islice(by_path, bisect_left(by_path, start, key=lambda entry: entry.path), None):
        if not other.path.startswith(start):
            break
        if other.stem == entry.stem and other.path != entry.path:
            found.append(other)
    return sorted(found, key=lambda entry: entry.path)


def summary(entries: Sequence[Entry]) -> dict[str, Any]:
    return {
        "total_files": len(entries),
        "total_size_bytes": sum(entry.stat.size for entry in entries),
        "generation_types": dict(sorted(Counter(entry.type for entry in entries).items())),
    }


def folders(snapshot: Snapshot) -> dict[str, Any]:
    """Every folder with the number of files directly in it: as a flat list, the root first, and nested."""
    counts = Counter(entry.folder for entry in snapshot.entries)
    children: dict[str, list[str]] = {}
    for path in snapshot.folders:
        children.setdefault(path.rpartition("/")[0], []).append(path)
    flat = [
        {
            "path": path or "root",
            "voice_count": counts[path],
            "file_count": counts[path],
            "subfolders": children.get(path, []),
        }
        for path in ("", *snapshot.folders)
    ]

    def nested(path: str, depth: int) -> dict[str, Any]:
        below = children.get(path, []) if depth < _MAX_DEPTH else []
        return {
            "voice_count": counts[path],
            "file_count": counts[path],
            "subfolders": {child.rpartition("/")[2]: nested(child, depth + 1) for child in below},
        }

    return {
        "folders": flat,
        "folder_structure": {"root": nested("", 0)},
        "total_folders": len(flat),
        "total_voices": len(snapshot.entries),
        "total_files": len(snapshot.entries),
    }


def _by_path(snapshot: Snapshot) -> Sequence[Entry]:
    return snapshot.kept("paths", lambda: sorted(snapshot.entries, key=lambda entry: entry.path))


def _by_name(snapshot: Snapshot) -> dict[str, list[Entry]]:
    found: dict[str, list[Entry]] = {}
    for entry in _by_path(snapshot):
        found.setdefault(nfc(entry.filename), []).append(entry)
    return found


def _day(value: str | None, name: str, moment: time) -> datetime | None:
    text = (value or "").strip()
    if not text:
        return None
    if len(text) > 6 and text[-6] == " " and text[-3] == ":":
        text = f"{text[:-6]}+{text[-5:]}"  # a plus sign that nobody encoded
    try:
        found = datetime.fromisoformat(text)
        if len(text) <= len("2025-06-22"):
            found = datetime.combine(found, moment)
    except ValueError:
        raise InvalidOption(f"{name} must be a date, such as 2025-06-22 or 2025-06-22T14:30:00Z", param=name) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
