"""The project's pages as tests read them: their blocks of code, their headings, links and tables."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")
_TABLE = re.compile(r"^<!-- (fields|query|form) of (\w+) (\S+?)(?:: (.+?))? -->\n((?:\|.*\n)+)", re.M)


@dataclass(frozen=True)
class Block:
    """Code between fences. line: where it begins, from 1. section: the text from the heading above to the block."""

    page: Path
    line: int
    language: str
    code: str
    section: str

    @property
    def name(self) -> str:
        return f"{self.page.relative_to(ROOT).as_posix()}:{self.line}"


@dataclass(frozen=True)
class FieldTable:
    """A table of what a route takes. kind: "fields" (JSON), "query" or "form". only: names, if not all are told."""

    page: Path
    kind: str
    method: str
    path: str
    only: str
    rows: tuple[tuple[str, ...], ...]


def blocks(page: Path) -> Iterator[Block]:
    """Every fenced block, in order."""
    text = page.read_text("utf-8")
    for found in _FENCE.finditer(text):
        before = text[: found.start()]
        heading = max((m.start() for m in re.finditer(r"^#+ ", _without_code(before), re.M)), default=0)
        yield Block(page, before.count("\n") + 1, found[1], found[2], before[heading:])


def prose(page: Path) -> str:
    """The text without its blocks of code."""
    return _FENCE.sub("", page.read_text("utf-8"))


def anchors(page: Path) -> set[str]:
    """What can follow the # of a link to this page, as GitHub makes it of the headings."""
    found: set[str] = set()
    for heading in re.findall(r"^#+ (.*)$", prose(page), re.M):
        bare = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
        slug = re.sub(r"[^\w -]", "", bare.strip().lower()).replace(" ", "-")
        found.add(next(s for n in range(len(found) + 1) if (s := f"{slug}-{n}" if n else slug) not in found))
    return found


def links(page: Path) -> list[str]:
    """Where its links and pictures lead."""
    return [found[1] or found[2] for found in _LINK.finditer(re.sub(r"`[^`\n]*`", "", prose(page)))]


def tables(page: Path) -> Iterator[FieldTable]:
    """Tables with a comment above: `<!-- fields of POST /api/v1/tts -->`. Cells are stripped; \\| is a bar."""
    for found in _TABLE.finditer(page.read_text("utf-8")):
        rows = [re.split(r"(?<!\\)\|", line.strip().strip("|")) for line in found[5].splitlines()[2:]]
        cells = tuple(tuple(cell.strip().replace("\\|", "|") for cell in row) for row in rows)
        yield FieldTable(page, found[1], found[2], found[3], found[4] or "", cells)


def _without_code(text: str) -> str:
    """The same length, with the insides of blocks blanked: a comment in bash is no heading."""
    return _FENCE.sub(lambda m: re.sub(r"[^\n]", " ", m[0]), text)
