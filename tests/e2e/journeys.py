"""Which steps of which journey a passing test proves: `journeys.py FOLDER` judges several runs as one."""

import json
import os
import sys
import tomllib
from pathlib import Path

STEPS = Path(__file__).with_name("journeys.toml")


def keep(folder: Path, proven: dict[str, bool]) -> None:
    """Leave what one run has proven, for `main`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{os.getpid()}.json").write_text(json.dumps(proven))


def judge(proven: dict[str, bool]) -> bool:
    """Print the table; False when a step marked built is not proven, or one is unknown."""
    steps = tomllib.loads(STEPS.read_text())
    print()
    unproven = []
    for step, facts in steps.items():
        state = {None: "-", True: "passed", False: "FAILED"}[proven.get(step)]
        if facts["built"] and not proven.get(step):
            state = "MISSING" if proven.get(step) is None else state
            unproven.append(step)
        rest = f" (open: {facts['open']})" if "open" in facts else ""
        print(f"{step:6} {state:8} {facts['title']}{rest}")
    unknown = sorted(set(proven) - set(steps))
    if unproven or unknown:
        print(f"journeys: not proven {unproven}, unknown ids {unknown}")
    return not (unproven or unknown)


def main() -> int:
    """Exit with 1 when the runs together do not prove what is marked built."""
    together: dict[str, bool] = {}
    for path in sorted(Path(sys.argv[1]).glob("*.json")):
        for step, passed in json.loads(path.read_text()).items():
            together[step] = together.get(step, True) and passed
    return 0 if judge(together) else 1


if __name__ == "__main__":
    sys.exit(main())
