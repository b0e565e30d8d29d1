"""A little of `make fuzz` in every run of the tests."""

from pathlib import Path

from tests.fuzz.openapi import run


def test_what_the_document_says_is_what_the_server_does(tmp_path: Path) -> None:
    outcome = run(tmp_path, phases="examples,fuzzing", examples=15, seed=20251123)
    assert outcome.passed, outcome.report[:6000]
    assert outcome.cases > 100
