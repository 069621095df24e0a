"""Whether a file that somebody hands in may be kept, and what is kept of it.

    BadFile                 carries one of Fault's codes, and the numbers its sentence needs
    DiskFull                there is no room to look into it: nothing of the file is at fault

`judge` runs the checks in a child of its own (storage/limited_child.py). Images are decoded and
written anew without anything that was beside the pixels; everything else is kept byte for byte or
refused. Nothing is repaired.
"""

from storage.file_checks.faults import BadFile, DiskFull, Fault
from storage.file_checks.judge import Judged, judge
from storage.file_checks.kinds import KINDS, MAX_BYTES, Kind, kind_of

__all__ = [
    "KINDS",
    "MAX_BYTES",
    "BadFile",
    "DiskFull",
    "Fault",
    "Judged",
    "Kind",
    "judge",
    "kind_of",
]
