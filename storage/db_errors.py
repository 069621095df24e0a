"""Telling "the database cannot serve now" from "the database refuses this".

StoreAway   the same request may succeed later: the edge answers 503 with Retry-After
Busy        more is waiting for the database than we are willing to hold: also 503
"""

import psycopg
from sqlalchemy.exc import DBAPIError, PendingRollbackError
from sqlalchemy.exc import TimeoutError as PoolTimeout

# Classes and codes of https://www.postgresql.org/docs/18/errcodes-appendix.html: connection,
# insufficient resources (disk full, too many connections), system error (I/O).
_AWAY_CLASSES = frozenset({"08", "53", "58"})
_AWAY_CODES = frozenset(
    {
        "25006",  # read_only_sql_transaction: a standby, or a switch-over in progress
        "40001",  # serialization_failure
        "40P01",  # deadlock_detected
        "55P03",  # lock_not_available
        "57014",  # query_canceled: a statement timeout
        "57P01",  # admin_shutdown
        "57P02",  # crash_shutdown
        "57P03",  # cannot_connect_now
        "57P05",  # idle_session_timeout
    }
)


class StoreAway(Exception):  # noqa: N818 - a state of the house, not a mistake of the caller
    """The database is unreachable, starting, full or overloaded; nothing was acknowledged."""


class Busy(StoreAway):
    """The queue in front of the database is full."""


def is_away(error: BaseException) -> bool:
    """Say whether the database could not serve, so that the same request may succeed later."""
    if isinstance(error, StoreAway | PoolTimeout | PendingRollbackError | ConnectionError):
        return True
    if isinstance(error, DBAPIError):
        return error.connection_invalidated or (error.orig is not None and is_away(error.orig))
    if not isinstance(error, psycopg.Error):
        return False
    if error.sqlstate is None:  # libpq itself failed: no server answered
        return isinstance(error, psycopg.OperationalError)
    return error.sqlstate in _AWAY_CODES or error.sqlstate[:2] in _AWAY_CLASSES
