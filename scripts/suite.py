"""Run one suite of checks within its budget: `python scripts/suite.py [--beside] NAME SECONDS CMD`.

Prints how long it took against what it may take, and ends the whole process group when the budget
is spent, so that one hanging check cannot eat the time of the others. With `--beside` it takes the
processor time that others leave, and may take longer for that.

Whoever sees only the end of a long log shall see what failed: a red suite names it once more, and
leaves the same lines in `.venv/red` for `make` to say at its own end.
"""

import contextlib
import os
import re
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO

OVER_BUDGET = 124  # the exit code of timeout(1)
_LESS = 10  # as for nice(1): a tenth of another's share
_LONGER = 5
RED = Path(os.environ.get("SUITE_RED", Path(__file__).parents[1] / ".venv" / "red"))
# What pytest, its hooks in our tests, and vitest say of what failed.
_NAMES = re.compile(r"^(FAILED |ERROR |SKIPPED |CI=true|journeys: | *FAIL )")
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_KEPT_BYTES = 1 << 20
_MOST_LINES, _MOST_CHARS = 12, 300
_LAST_WORDS_S = 5.0


def main() -> int:
    """Exit with the command's own code, or 124 when the budget ran out."""
    words = sys.argv[1:]
    beside = words[0] == "--beside"
    name, budget_s, command = words[beside], float(words[beside + 1]), words[beside + 2 :]
    print(f"== {name}", flush=True)
    started = time.monotonic()
    red = RED / f"{re.sub(r'[^a-z0-9]+', '-', name.lower())}.log"
    red.unlink(missing_ok=True)
    process = subprocess.Popen(
        command, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    said = bytearray()
    reader = threading.Thread(target=_pass_on, args=(process.stdout, said), daemon=True)
    reader.start()
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
    # Not for ever: something it started may live on and hold the pipe.
    reader.join(_LAST_WORDS_S)
    spent_s = time.monotonic() - started
    verdict = "ok" if code == 0 else "over budget" if code == OVER_BUDGET else f"failed ({code})"
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    busy = f"{used.ru_utime + used.ru_stime:.0f} s of processor"
    end = f"== {name}: {verdict}, {spent_s:.0f} s of {budget_s:.0f} s, {busy}"
    print(end, flush=True)
    if code != 0:
        text = "\n".join([end, *named(bytes(said).decode(errors="replace"))])
        red.parent.mkdir(exist_ok=True)
        red.write_text(text + "\n")
        print(text.partition("\n")[2], flush=True)
    return code


def named(output: str) -> list[str]:
    """The lines that name what failed; the last lines where none does."""
    lines = [_COLOURS.sub("", line)[:_MOST_CHARS] for line in output.splitlines() if line.strip()]
    found = list(dict.fromkeys(line for line in lines if _NAMES.match(line)))
    if len(found) > _MOST_LINES:
        found[_MOST_LINES - 1 :] = [f"... and {len(found) - _MOST_LINES + 1} more"]
    return found or lines[-_MOST_LINES:]


def _pass_on(output: IO[bytes], said: bytearray) -> None:
    """Say what the command says, as it says it, and remember the end of it."""
    while piece := os.read(output.fileno(), 1 << 16):
        sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
        said += piece
        del said[:-_KEPT_BYTES]


def _give_way(pid: int) -> None:
    """Lower the share of a process, and of its session, within which alone nice may count."""
    os.setpriority(os.PRIO_PROCESS, pid, _LESS)
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/autogroup").write_text(str(_LESS))


if __name__ == "__main__":
    sys.exit(main())
