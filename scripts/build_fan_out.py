"""Compiles the media worker's fan-out (rtc/fan_out.c) where there is a C compiler.

Needs neither Python's headers nor any library. Without a compiler, or when it fails, the worker
does the same in Python; the exit code is 0 then, too.
"""

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

from cffi import FFI

from rtc.fan_out_c import SOURCES, folder


def main() -> int:
    """Builds into a new folder and puts it in its place whole."""
    compiler = shlex.split(os.environ.get("CC", "cc"))
    place = folder()
    if place.exists():
        return 0
    if not compiler or shutil.which(compiler[0]) is None:
        print("No C compiler: the media worker makes its copies in Python.")
        return 0
    header, source = SOURCES
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent) as made:
        ffi = FFI()
        ffi.cdef(header.read_text())
        ffi.set_source("binding", None)
        with redirect_stdout(StringIO()):  # it tells what it writes
            ffi.emit_python_code(str(Path(made) / "binding.py"))
        library = str(Path(made) / "fan_out.so")
        command = [*compiler, "-O2", "-shared", "-fPIC", "-o", library, str(source)]
        if subprocess.run(command, check=False).returncode:
            print("The C compiler failed: the media worker makes its copies in Python.")
            return 0
        Path(made).chmod(0o755)
        try:
            shutil.copytree(made, f"{made}.new")
            Path(f"{made}.new").rename(place)
        except OSError:
            shutil.rmtree(f"{made}.new", ignore_errors=True)  # somebody was faster
    return 0


if __name__ == "__main__":
    sys.exit(main())
