"""Run one suite of checks within its budget: `python scripts/suite.py [--beside] NAME SECONDS CMD`.

Prints how long it took against what it may take, and ends the whole process group when the budget
is spent, so that one hanging check cannot eat the time of the others. With `--beside` it takes the
processor time that others leave, and may take longer for that.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

OVER_BUDGET = 124  # the exit code of timeout(1)
_LESS = 10  # as for nice(1): a tenth of another's share
_LONGER = 5


def main() -> int:
    """Exit with the command's own code, or 124 when the budget ran out."""
    words = sys.argv[1:]
    beside = words[0] == "--beside"
    name, budget_s, command = words[beside], float(words[beside + 1]), words[beside + 2 :]
    print(f"== {name}", flush=True)
    started = time.monotonic()
    process = subprocess.Popen(command, start_new_session=True)
    if beside:
        _give_way(process.pid)
        budget_s *= _LONGER
    try:
        code = process.wait(timeout=budget_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        code = OVER_BUDGET
    except KeyboardInterrupt:
        os.killpg(process.pid, signal.SIGINT)
        code = process.wait() or 130
    spent_s = time.monotonic() - started
    verdict = "ok" if code == 0 else "over budget" if code == OVER_BUDGET else f"failed ({code})"
    print(f"== {name}: {verdict}, {spent_s:.0f} s of {budget_s:.0f} s", flush=True)
    return code


def _give_way(pid: int) -> None:
    """Lower the share of a process, and of its session, within which alone nice may count."""
    os.setpriority(os.PRIO_PROCESS, pid, _LESS)
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/autogroup").write_text(str(_LESS))


if __name__ == "__main__":
    sys.exit(main())
