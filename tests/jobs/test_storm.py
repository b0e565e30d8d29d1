"""A little of `make chaos` in every run of the tests."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.chaos.storm import Storm, storm, undisturbed

PLAN = Storm(kills=12, jobs=16, passages=4, delay_s=0.02)

pytestmark = pytest.mark.skipif(os.name == "nt", reason="no signals")


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    return undisturbed(PLAN, tmp_path_factory.mktemp("calm"))


def test_twelve_kills_cost_no_task_no_sound_and_one_passage_each(
    calm: Mapping[str, str], database_setting: str, tmp_path: Path
) -> None:
    outcome = storm(PLAN, tmp_path, database_setting, calm=calm)
    assert outcome.problems == []
    assert (outcome.kills, outcome.succeeded, outcome.same_audio) == (12, 16, 16)
