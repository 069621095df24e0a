"""The database: the base of every table, the engine, its sessions, and row identifiers.

Relations between tables are declared with `lazy="raise"`: a query says what it loads, so that an
accidental query a row fails in a test instead of being slow in a clinic.
"""

import asyncio
import os
import select
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime, time
from decimal import Decimal
from time import monotonic
from typing import Any, ClassVar, Self, TypeVar
from uuid import UUID

import msgspec
import psycopg
import uuid_utils.compat
from psycopg.abc import PQGen
from sqlalchemy import (
    BigInteger,
    Date,
    DateTime,
    LargeBinary,
    MetaData,
    Numeric,
    Text,
    Time,
    Uuid,
    insert,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.engine import URL, make_url
from sqlalchemy.event import listen
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

T = TypeVar("T")

# Constraints need names that do not depend on the order of creation: a migration refers to them.
NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
# Rows of one statement: some tens of milliseconds of work.
_AT_ONCE = 500
# What a firewall forgets without a word, it forgets of connections that were idle for long.
_SURE_FOR_S = 5.0
_LOOK_EVERY_S = 0.01


class Base(DeclarativeBase):
    """Base of every table. Integers are 8 bytes wide, times are aware, text has no length limit."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        int: BigInteger(),
        str: Text(),
        bytes: LargeBinary(),
        UUID: Uuid(),
        Decimal: Numeric(),
        date: Date(),
        time: Time(),
        datetime: DateTime(timezone=True),
        list[str]: ARRAY(Text()),
        list[UUID]: ARRAY(Uuid()),
        dict[str, Any]: JSONB(),
        dict[str, str]: JSONB(),
        dict[str, float]: JSONB(),
    }


def sqlalchemy_url(url: str) -> URL:
    """Turn a libpq URL (`postgresql://…`) into one that names our driver, psycopg 3."""
    return make_url(url).set(drivername="postgresql+psycopg")


def libpq_url(url: str) -> str:
    """Turn any of our database URLs into the form that psycopg itself and `psql` take."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def make_engine(url: str, *, pool_size: int = 16, silent_s: float | None = None) -> AsyncEngine:
    """Engine on the PostgreSQL at `url` (libpq or SQLAlchemy form).

    Times come back in UTC. A connection that died while idle is replaced unseen, with all others of
    the pool; a server that does not answer fails a connection within 5 s, a full pool within 10 s.
    With `silent_s` a connection fails on which the server says nothing for so long when asked; the
    longest statement has to be shorter.
    """
    full = sqlalchemy_url(url)
    options = full.query.get("options", "")
    if not isinstance(options, str):
        options = " ".join(options)
    made = Connection if silent_s is None else _watched(silent_s)
    connect_args: dict[str, Any] = {
        "connect_timeout": 5,
        "options": f"{options} -c timezone=UTC".strip(),
        "async_creator_fn": made.connect,
    }
    engine = create_async_engine(
        full.difference_update_query(["options"]),
        pool_size=pool_size,
        # A connection beyond the pool would be closed after each use, and signing in again costs
        # more than most queries; waiting for a pooled one is faster.
        max_overflow=0,
        pool_use_lifo=True,
        pool_timeout=10,
        hide_parameters=True,  # they are people's data, and errors end in logs
        json_serializer=_json,
        json_deserializer=msgspec.json.decode,
        connect_args=connect_args,
    )
    listen(engine.sync_engine, "checkin", _came_back)
    listen(engine.sync_engine, "checkout", _require_alive)
    return engine


class Connection(psycopg.AsyncConnection[Any]):
    """Closed at once when it is given up in the making.

    psycopg leaves that to the garbage collection, and until then, or for a minute, the server keeps
    a process for whoever has not signed in yet. What asks all its processes, as DROP DATABASE does,
    waits for that one too.
    """

    @classmethod
    async def connect(cls, *args: Any, **kwargs: Any) -> Self:
        """See psycopg."""
        making = asyncio.create_task(super().connect(*args, **kwargs))
        try:
            return await asyncio.shield(making)
        except psycopg.Error as failed:
            raise failed.with_traceback(None) from None  # its frames hold what was half made
        except asyncio.CancelledError:
            making.cancel()
            with suppress(asyncio.CancelledError, psycopg.Error):
                await (await making).close()
            raise


class _Watched(Connection):
    """Cut when the server is silent for too long: one that is stopped closes nothing itself."""

    silent_s: ClassVar[float]

    async def wait(self, gen: PQGen[T], *args: Any, **kwargs: Any) -> T:
        """See psycopg; every question to the server waits here for its answer."""
        cut = asyncio.get_running_loop().call_later(self.silent_s, self._cut)
        try:
            return await super().wait(gen, *args, **kwargs)
        finally:
            cut.cancel()

    def _cut(self) -> None:
        # Not closed: libpq reads the end, says that the server has gone, and tidies up after it.
        with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(self.fileno())) as end:
            end.shutdown(socket.SHUT_RDWR)


def _watched(for_s: float) -> type[_Watched]:
    class Watched(_Watched):
        silent_s = for_s

    return Watched


def _came_back(_: Any, record: ConnectionPoolEntry) -> None:
    record.info["idle_since"] = monotonic()


def _require_alive(connection: Any, record: ConnectionPoolEntry, _: Any) -> None:
    """Replace a connection that died in the pool, as `pool_pre_ping` does, for a tenth of its cost.

    A server that ends, however it ends, closes its sockets, and what is closed is readable; nothing
    else is said to an idle connection but now and then a notice. So the server is asked only then,
    and after a while of silence.
    """
    idle_since = record.info.get("idle_since")
    if idle_since is None:  # just made
        return
    try:
        heard = select.poll()
        heard.register(connection.driver_connection.fileno(), select.POLLIN)
        if heard.poll(0) or monotonic() - idle_since > _SURE_FOR_S:
            connection.cursor().execute("SELECT 1")
            connection.rollback()
    except psycopg.Error as gone:
        raise InvalidatePoolError from gone


async def close(engine: AsyncEngine, *, within_s: float = 2.0) -> None:
    """Close every connection, those in use when they are back.

    One that comes back to a pool that was disposed of is closed by nobody.
    """
    pool = engine.pool
    with suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            while isinstance(pool, QueuePool) and pool.checkedout():  # noqa: ASYNC110 - silent
                await asyncio.sleep(_LOOK_EVERY_S)
    await engine.dispose()


def sessions(engine: AsyncEngine) -> async_sessionmaker[AsyncSession]:
    """Maker of sessions whose objects stay readable after the commit."""
    return async_sessionmaker(engine, expire_on_commit=False)


async def insert_many(
    db: AsyncSession, table: type[Base], rows: Sequence[Mapping[str, Any]]
) -> None:
    """Insert many rows, some at a time, so that whoever else is served here is not held up."""
    for at in range(0, len(rows), _AT_ONCE):
        await db.execute(insert(table), rows[at : at + _AT_ONCE])


def new_id() -> UUID:
    """Make a UUID of version 7: identifiers sort by the time they were made."""
    return uuid_utils.compat.uuid7()
