"""Run one suite of checks within its budget: `python scripts/suite.py NAME SECONDS COMMAND...`.

Prints how long it took against what it may take, and ends the whole process group when the budget is
spent, so that one hanging check cannot eat the time of the others.
"""

import os
import signal
import subprocess
import sys
import time


def main() -> int:
    """Exit with the command's own code, or 124 when the budget ran out."""
    name, budget_s, command = sys.argv[1], float(sys.argv[2]), sys.argv[3:]
    print(f"== {name}", flush=True)  # noqa: T201
    started = time.monotonic()
    process = subprocess.Popen(command, start_new_session=True)  # noqa: S603
    try:
        code = process.wait(timeout=budget_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        code = 124
    except KeyboardInterrupt:
        os.killpg(process.pid, signal.SIGINT)
        code = process.wait() or 130
    spent_s = time.monotonic() - started
    verdict = "ok" if code == 0 else "over budget" if code == 124 else f"failed ({code})"
    print(f"== {name}: {verdict}, {spent_s:.0f} s of {budget_s:.0f} s", flush=True)  # noqa: T201
    return code


if __name__ == "__main__":
    sys.exit(main())
