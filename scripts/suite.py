"""Run one suite of checks within its budget: `python scripts/suite.py NAME SECONDS COMMAND...`.

Prints how long it took against what it may take, and ends the whole process group when the budget
is spent, so that one hanging check cannot eat the time of the others.
"""

import os
import signal
import subprocess
import sys
import time

OVER_BUDGET = 124  # the exit code of timeout(1)


def main() -> int:
    """Exit with the command's own code, or 124 when the budget ran out."""
    name, budget_s, command = sys.argv[1], float(sys.argv[2]), sys.argv[3:]
    print(f"== {name}", flush=True)
    started = time.monotonic()
    process = subprocess.Popen(command, start_new_session=True)
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


if __name__ == "__main__":
    sys.exit(main())
