"""PostgreSQL and SeaweedFS as the product runs them, syncing to disk, in a folder of their own."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from storage.settings import Settings


@contextmanager
def running_stores() -> Iterator[Settings]:
    """Start the embedded stores, give their settings, stop them and delete their folder."""
    # /tmp, because a unix socket's path is at most 107 bytes.
    home = tempfile.mkdtemp(prefix="yb-", dir="/tmp")
    settings = Settings.from_env({"YANASHA_HOME": home})
    try:
        with subprocess.Popen(
            [sys.executable, "-m", "ops.stores"],
            env={"PATH": os.environ["PATH"], "YANASHA_HOME": home},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,  # Ctrl-C is for us; the stores end when our pipe closes
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            said = []
            for line in process.stdout:
                said.append(line)
                if line == "ready\n":
                    break
            else:
                raise RuntimeError("the stores did not start:\n" + "".join(said))
            yield settings
            process.stdin.close()
            process.stdout.read()
    finally:
        shutil.rmtree(home, ignore_errors=True)
