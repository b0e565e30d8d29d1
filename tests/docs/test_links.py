"""Every link in every page of the repository leads to a file that is there and a heading that is in it."""

from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.docs.pages import DOCS, PAGES, ROOT, anchors, links

ALL = [*sorted(ROOT.glob("*.md")), *PAGES]
FROM_THE_GUIDE = (
    "guides/streaming-responses.md",
    "guides/file-uploads.md",
    "guides/error-handling.md",
    "endpoints/tts.md",
    "endpoints/voice-conversion.md",
)


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", ALL, ids=name)
def test_its_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        if link.startswith(("http://", "https://", "mailto:")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / unquote(path)).resolve() if path else page
        assert target.is_relative_to(ROOT), f"{link} leads out of the repository"
        assert target.exists(), f"{link} leads nowhere"
        if anchor:
            assert anchor in anchors(target), f"{link}: there is no such heading"


def test_the_pages_that_the_guide_links_to_are_where_it_looks_for_them() -> None:
    here = DOCS / "guides"
    assert (here / "advanced-features.md").is_file()
    assert [page for page in FROM_THE_GUIDE if not (here / ".." / page).is_file()] == []


def test_every_page_can_be_reached_from_the_index() -> None:
    index = DOCS / "README.md"
    linked = {(index.parent / link.partition("#")[0]).resolve() for link in links(index)}
    assert set(PAGES) - linked - {index} == set()
    assert "docs/README.md" in links(ROOT / "README.md")
