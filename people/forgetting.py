"""What the house forgets by itself: notices long read, and its own work that failed long ago.

What an organisation's people are owed (unread notices, dead letters with owners) is left to them.
"""

from datetime import timedelta

from sqlalchemy import delete

from people.notices import Notices
from storage.dead_letters import drop_old
from storage.jobs import Work, job

READ_KEPT = timedelta(days=365)
FAILED_KEPT = timedelta(days=90)


@job("people.forget", cron="35 9 * * *")  # noon in the region: a house may be off at night
async def forget(work: Work) -> None:
    """Delete notices that were read a year ago, and dead letters of nobody's after 90 days."""
    await work.db.execute(
        delete(Notices)
        .where(Notices.read_at < work.now - READ_KEPT)
        .execution_options(synchronize_session=False)
    )
    await drop_old(work.db, work.now - FAILED_KEPT)
