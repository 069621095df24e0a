"""One JSON line an event, of allow-listed fields only.

A field that is not in FIELDS is dropped, whatever a caller passes: names, readings, tokens and
bodies cannot reach a log by mistake. Exceptions are written as class and places in the code, never
as text: a driver's message quotes the row it choked on.
"""

import json
import logging
import sys
import traceback
from collections.abc import MutableMapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

import msgspec
import structlog

FIELDS = frozenset(
    {
        "event",
        "level",
        "time",
        "logger",
        "method",
        "route",
        "status",
        "duration_ms",
        "code",
        "close_code",
        "error_id",
        "error",
        "where",
        "count",
        "worker",
    }
)
# Loggers whose interpolated text is only about addresses, ports and process numbers.
_PLAIN_TALKERS = ("uvicorn.error",)
_HERE = Path(__file__).resolve().parent.parent
_MAX_TEXT = 200


def allow_listed(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Keep the fields of FIELDS; the last word before a line is written."""
    return {name: _short(value) for name, value in event.items() if name in FIELDS}


def _short(value: Any) -> Any:
    return value[:_MAX_TEXT] if isinstance(value, str) else value


def where(error: BaseException) -> list[str]:
    """Places in the code that led to `error`, outermost first: `api/db.py:40 transaction`."""
    frames = traceback.extract_tb(error.__traceback__)[-8:]
    return [f"{_relative(frame.filename)}:{frame.lineno} {frame.name}" for frame in frames]


def _relative(name: str) -> str:
    path = Path(name)
    return str(path.relative_to(_HERE)) if path.is_relative_to(_HERE) else "/".join(path.parts[-2:])


def error_fields(error: BaseException) -> dict[str, Any]:
    """Class and places of an exception, for a log line."""
    return {"error": type(error).__qualname__, "where": where(error)}


class _Plain(logging.Formatter):
    """Other libraries' records in the same shape; their arguments stay out unless known plain."""

    def format(self, record: logging.LogRecord) -> str:
        plain = record.name in _PLAIN_TALKERS
        text = record.getMessage() if plain else record.msg
        event: dict[str, Any] = {
            "event": text.strip() if isinstance(text, str) else type(text).__qualname__,
            "level": record.levelname.lower(),
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "logger": record.name,
        }
        if record.exc_info and record.exc_info[1]:
            event |= error_fields(record.exc_info[1])
        return json.dumps(allow_listed(None, "", event), ensure_ascii=False)


class _Handler(logging.Handler):
    """Writes records of other libraries."""

    def __init__(self, stream: TextIO | None) -> None:
        super().__init__()
        self.stream = stream
        self.setFormatter(_Plain())

    def emit(self, record: logging.LogRecord) -> None:
        (self.stream or sys.stderr).write(self.format(record) + "\n")


def configure(stream: TextIO | None = None) -> None:
    """Send everything this process logs to `stream` (stderr when None) as JSON lines."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            allow_listed,
            structlog.processors.JSONRenderer(serializer=_line),
        ],
        logger_factory=lambda *_: structlog.WriteLogger(stream or sys.stderr),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers[:] = [h for h in root.handlers if not isinstance(h, _Handler)]
    root.addHandler(_Handler(stream))
    root.setLevel(logging.INFO)
    # uvicorn's access line and its line for each accepted socket quote the path; ours does not.
    logging.getLogger("uvicorn.access").disabled = True
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)


def _line(event: Any, **_: Any) -> str:
    return msgspec.json.encode(event).decode()


log: Any = structlog.get_logger()
