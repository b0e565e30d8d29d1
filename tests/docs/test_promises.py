"""Every promise of docs/security.md names a test, and that test is there."""

import ast
import re

from tests.docs.pages import DOCS, ROOT

PAGE = DOCS / "security.md"
_KEPT_BY = re.compile(r"`(tests/[\w/.]+)(?:::(\w+))?`")


def test_every_promise_is_kept_by_a_test_that_exists() -> None:
    rows = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| ") and "kept by" not in line]
    assert len(rows) > 25
    for row in rows:
        named = _KEPT_BY.findall(row)
        assert named, row
        for file, test in named:
            path = ROOT / file
            assert path.exists(), file
            if test:
                functions = {
                    node.name
                    for node in ast.walk(ast.parse(path.read_text("utf-8")))
                    if isinstance(node, ast.FunctionDef)
                }
                assert test in functions, f"{file}::{test}"
