"""How PostgreSQL is told, at the first start of a restore, where to stop following its log."""

import re
from datetime import UTC, datetime
from pathlib import Path

from ops.backup_choice import Chosen
from ops.children import Cannot, clean_env, run_as
from ops.postgres import Postgres

_COMMITTED = re.compile(
    r"desc: (?:COMMIT|ABORT)(?:_PREPARED)? (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+)"
)


def recovery_options(postgres: Postgres, chosen: Chosen, wal: Path) -> dict[str, str]:
    """Give the options: the backup's own point, a time, or as far as the log goes."""
    options = {
        # The log of a finished restore goes elsewhere: it is another one from here on.
        "archive_mode": "off",
        "restore_command": 'test -f "$YANASHA_WAL_FROM/%f" && cp "$YANASHA_WAL_FROM/%f" "%p"',
        "recovery_target_timeline": "current",
        "recovery_target_action": "promote",
    }
    if chosen.until is None:
        return options | {"recovery_target_name": chosen.manifest.point}
    if chosen.until.at is None or chosen.until.at >= _last_commit(postgres, wal):
        return options  # a target that no commit lies behind would never be reached
    return options | {"recovery_target_time": chosen.until.at.isoformat()}


def _last_commit(postgres: Postgres, wal: Path) -> datetime:
    """When the newest transaction in these segments ended. Raises Cannot when none did."""
    for segment in sorted(wal.iterdir(), reverse=True):
        said = run_as(
            postgres.uid,
            postgres.bin / "pg_waldump",
            *("--rmgr", "Transaction", "--path", wal, segment.name),
            env=clean_env(postgres.settings.home),
        ).stdout
        if found := _COMMITTED.findall(said):
            return max(datetime.fromisoformat(one).replace(tzinfo=UTC) for one in found)
    raise Cannot("The archived log holds no transaction.")
