"""docs/security.md names tests that are there."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "security.md"
_NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def named_in(path: Path) -> set[str]:
    """Names of the tests in a file."""
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {n.name for n in ast.parse(path.read_text()).body if isinstance(n, functions)}


def test_every_test_that_is_named_exists() -> None:
    """A promise without its test is none."""
    named = set(_NAMED.findall(PAGE.read_text()))
    assert len(named) > 80
    missing = [
        f"{path}::{name}"
        for path, name in sorted(named)
        if not (ROOT / path).is_file() or name not in named_in(ROOT / path)
    ]
    assert missing == []


def test_every_threat_and_every_item_held_has_a_test() -> None:
    """Only the table of what is not held has none."""
    held, _, _ = PAGE.read_text().partition("### Not held")
    rows = [line for line in held.splitlines() if line.startswith("| ") and "---" not in line]
    bare = [row for row in rows if not _NAMED.search(row) and not row.endswith("| test |")]
    assert len(rows) > 60
    assert bare == []
