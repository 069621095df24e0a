"""Alembic's environment: run what storage.migrate asks for, whole or not at all.

`config.attributes` hold the connection and, for drafts and checks, the metadata: storage knows no
table of the other rooms.
"""

import re

from alembic import context
from sqlalchemy import Connection, text

# Any number will do; two programs that migrate at once wait for each other by it.
LOCK = 7_106_385_012


# Tables nobody declares: the job library's, which its own SQL makes, and one month's of a table.
_MADE_OTHERWISE = re.compile(r"procrastinate_.*|.*_\d{4}_\d{2}")


def ours(name: str | None, kind: str, _parents: object) -> bool:
    """Leave tables that nobody declares out of comparisons."""
    return kind != "table" or name is None or _MADE_OTHERWISE.fullmatch(name) is None


def run(connection: Connection) -> None:
    """Migrate in one transaction, under a lock."""
    with connection.begin():
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        context.configure(
            connection=connection,
            target_metadata=context.config.attributes.get("metadata"),
            include_name=ours,
            compare_server_default=True,
            transactional_ddl=True,
        )
        context.run_migrations()


run(context.config.attributes["connection"])
