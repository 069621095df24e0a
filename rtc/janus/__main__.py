"""`python -m rtc.janus`: Debian's Janus in the place of our media workers."""

import os
import sys

from rtc.janus.program import NoJanus, prepare
from storage.settings import BadSetting, Settings


def main() -> None:
    """Becomes Janus; exit code 2 for a bad setting or a missing package."""
    try:
        settings = Settings.from_env()
        command = prepare(settings.run_dir, settings.rtc_addresses)
    except (BadSetting, NoJanus) as bad:
        sys.stderr.write(f"{bad}\n")
        sys.exit(2)
    os.execv(command[0], command)  # noqa: S606 - found on PATH by us


if __name__ == "__main__":
    main()
