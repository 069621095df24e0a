"""What a run of checks says at its end: whoever sees only that must see what failed."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def suite(folder: Path, budget_s: str, program: str) -> subprocess.CompletedProcess[str]:
    """Run a suite that is this Python program."""
    words = [str(ROOT / "scripts" / "suite.py"), "A suite", budget_s]
    return subprocess.run(
        [sys.executable, *words, sys.executable, "-c", program],
        env=os.environ | {"SUITE_RED": str(folder / "red")},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_red_suite_names_what_failed_behind_everything_else(tmp_path: Path) -> None:
    """On its last lines and in its file, short; a green run takes the file away."""
    names = [f"FAILED tests/test_a.py::test_{n} - {'x' * 500}" for n in range(40)]
    said = "\n".join(["....F", *names, "  +  where", "40 failed in 3 s"])
    red = suite(tmp_path, "60", f"print({said!r}); raise SystemExit(1)")
    assert red.returncode == 1
    assert said in red.stdout
    end = red.stdout.rpartition("== A suite: failed (1)")[2].splitlines()[1:]
    assert (end[0], len(end), end[-1]) == (names[0][:300], 12, "... and 29 more")
    kept = tmp_path / "red" / "a-suite.log"
    assert kept.read_text().splitlines()[1:] == end
    assert suite(tmp_path, "60", "print('fine')").returncode == 0
    assert not kept.exists()


def test_where_nothing_is_named_the_last_lines_are_said_again(tmp_path: Path) -> None:
    """Of a linter that is not known here, and of a check that had to be ended."""
    red = suite(tmp_path, "60", "print('a.py:1: wrong'); raise SystemExit(2)")
    assert red.stdout.endswith("a.py:1: wrong\n")
    hanging = "import time; print('at test_b', flush=True); time.sleep(60)"
    late = suite(tmp_path, "0.3", hanging)
    assert (late.returncode, late.stdout.splitlines()[-1]) == (124, "at test_b")
