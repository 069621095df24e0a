"""`python -m rtc [NUMBER]`: a media worker, the first of several when no number is given."""

import asyncio
import logging
import sys

from rtc.worker import run
from storage.settings import BadSetting, Settings


def main() -> int:
    """Runs the worker; exit code 2 for a bad setting, 1 for a taken port."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s %(message)s")
    try:
        asyncio.run(run(Settings.from_env(), int(sys.argv[1]) if sys.argv[1:] else 0))
    except BadSetting as bad:
        sys.stderr.write(f"{bad}\n")
        return 2
    except OSError as taken:
        sys.stderr.write(f"The media worker cannot start: {taken}.\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
