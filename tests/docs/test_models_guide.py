"""What docs/guides/models.md tells of the models is what the engine does."""

import re

from chatterbox_plus.engines.chatterbox.families import FAMILIES
from chatterbox_plus.engines.chatterbox.languages import LANGUAGES, TAGS
from chatterbox_plus.engines.registry import _ON_CPU, _ON_GPU
from chatterbox_plus.models.catalog import CATALOG
from tests.docs.pages import DOCS

GUIDE = (DOCS / "guides" / "models.md").read_text("utf-8")


def rows(after: str) -> list[list[str]]:
    """The cells of the first table behind those words."""
    lines = GUIDE.partition(after)[2].lstrip("\n").splitlines()
    table = lines[: next(i for i, line in enumerate(lines) if not line.startswith("|"))]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table]


def test_every_default_is_told() -> None:
    head, _, *told = rows("<!-- options of the families -->")
    families = [cell.strip("`") for cell in head[1:-1]]
    assert families == list(FAMILIES)
    for column, family in enumerate(families, start=1):
        found = {row[0].strip("`"): float(row[column]) for row in told if row[column]}
        assert found == dict(FAMILIES[family].defaults)


def test_every_sound_and_language_is_told() -> None:
    told = GUIDE.partition("<!-- sounds -->")[2].strip().partition("\n\n")[0]
    assert tuple(re.findall(r"`(\[[^\]]+\])`", told)) == TAGS
    found = {code: name for name, code in re.findall(r"(\w+)\s\(`(\w\w)`\)", GUIDE)}
    assert found == LANGUAGES


def test_what_auto_takes_is_told_in_its_order() -> None:
    told = GUIDE.partition("best one installed that speaks")[2].partition("Where none does")[0]
    assert tuple(name for name in re.findall(r"`([\w-]+)`", told)) == (*_ON_GPU, *_ON_CPU)


def test_every_model_and_its_size_is_told() -> None:
    found = {row[0].strip("`"): row[2] for row in rows("-o hello.wav\n```\n")[2:]}
    assert found == {name: f"{spec.download_bytes / 1e9:.1f} GB" for name, spec in CATALOG.items()}
