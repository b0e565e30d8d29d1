"""A little of `make fuzz` in every run of the tests."""

from pathlib import Path

import pytest

from chatterbox_plus.audio.formats import INPUT_SUFFIXES
from tests.fuzz.audio import decode, upload
from tests.fuzz.mutations import Seed, broken_files, seeds
from tests.live import LiveServer

EACH_ONCE = 9 * 15  # containers, kinds of damage


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> list[Seed]:
    return seeds(tmp_path_factory.mktemp("seeds"))


def test_the_same_seed_breaks_the_same_files_in_every_container(whole: list[Seed], tmp_path: Path) -> None:
    files, again = (list(broken_files(EACH_ONCE, 7, originals)) for originals in (whole, seeds(tmp_path)))
    assert files == again
    assert {Path(file.name).suffix for file in files} == set(INPUT_SUFFIXES)
    kinds = {file.how.partition(", a")[0] for file in files}
    assert len(kinds) >= 15
    assert {seed.suffix for seed in whole} == set(INPUT_SUFFIXES)


def test_no_broken_file_crashes_or_holds_up_the_decoder(whole: list[Seed], tmp_path: Path) -> None:
    outcome = decode(broken_files(EACH_ONCE, 7, whole), tmp_path)
    assert outcome.problems == []
    assert outcome.counts.total() == EACH_ONCE
    assert outcome.counts["decoded"] > EACH_ONCE / 5, "damage that every file is refused for finds nothing"


def test_no_broken_upload_is_the_servers_fault(whole: list[Seed], server: LiveServer) -> None:
    outcome = upload(broken_files(18, 11, whole), server)
    assert outcome.problems == []
    assert outcome.counts.total() >= 18
