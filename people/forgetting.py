"""What the house forgets by itself: notices long read, and its own work that failed long ago.

What an organisation's people are owed (unread notices, dead letters with owners) is left to them.
"""

from datetime import timedelta

from people.retention import NOTICES, delete_old
from storage.dead_letters import drop_old
from storage.jobs import Work, job

READ_KEPT = NOTICES.kept
FAILED_KEPT = timedelta(days=90)


@job("people.forget", cron="35 9 * * *")  # noon in the region: a house may be off at night
async def forget(work: Work) -> None:
    """Delete notices that were read a year ago, and dead letters of nobody's after 90 days."""
    await delete_old(work.db, NOTICES, work.now)
    await drop_old(work.db, work.now - FAILED_KEPT)
