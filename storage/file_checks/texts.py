"""Plain text and tables as text: readable by eye, nothing a browser or a table would run."""

import re
from pathlib import Path
from typing import Final

from storage.file_checks.faults import BadFile, Fault
from storage.file_checks.judge import Verdict
from storage.file_checks.kinds import Kind

_CONTROLS: Final = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f\ufffe\uffff]")
_MARKUP: Final = re.compile(
    r"\s*<(!doctype|html|head|body|script|svg|iframe|\?xml|\?php|!--)", re.IGNORECASE
)
_PROGRAM: Final = "#!"
_BEFORE: Final = " \u00a0\"'"
# A cell that begins with a sign may be a number, a day, a telephone, and nothing else.
_NUMBER: Final = re.compile(r"[\d\s.:()%/+-]*([eE][+-]?\d+)?\s*[\"']?")
# With a comma in it, where semicolons part the cells: a number that goes on as a formula.
_GOES_ON: Final = re.compile(r"[+-][\d\s.,:()%/*^+-]*[-+*/^&=<>|][\s(\['\"]*[^\W\d]")


def check(file: Path, kind: Kind) -> Verdict:
    """Refuse what is no text, or more than one. Raises BadFile."""
    text = _text(file.read_bytes())
    if _CONTROLS.search(text):
        raise BadFile(Fault.NOT_TEXT)
    if _MARKUP.match(text) or text.startswith(_PROGRAM):
        raise BadFile(Fault.TYPE_REFUSED)
    if kind is Kind.CSV and any(map(_computes, text.splitlines())):
        raise BadFile(Fault.ACTIVE)
    return Verdict(kind=kind, rewritten=False, preview=False)


def _computes(line: str) -> bool:
    """Whether a table program would compute a cell, whatever it takes for the end of one."""
    for cell in re.split(r"[,;\t]", line):
        shown = cell.lstrip(_BEFORE)
        if shown[:1] in {"=", "@"} or (
            shown[:1] in {"+", "-"} and not _NUMBER.fullmatch(shown[1:].rstrip())
        ):
            return True
    return any(_GOES_ON.match(cell.lstrip(_BEFORE)) for cell in re.split(r"[;\t]", line))


def _text(data: bytes) -> str:
    """In UTF-8. Old Windows' Cyrillic would be shown as rubbish, so it is refused by name."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadFile(Fault.NOT_TEXT) from None
