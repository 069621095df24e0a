"""The job runner: `python -m api.runner`. Importing a room's jobs registers them.

The audit's sealer lives beside the jobs; of several runners one seals at a time.
"""

import asyncio

from api import logs
from api.sealing import sealed
from eschool import erasing as erasing_school
from eschool import failing_takes, lost_slides
from people import (
    document_prints,
    erasure,
    erasures_done,
    forgetting,
    health_retention,
    held_objects,
    lost_files,
    notice_ways,
    recoveries,
    retention,
)
from people import erasing as erasing_people
from storage.jobs import run_worker
from storage.settings import Settings
from telemed import ecg_chunks, erasing, months, notes, retaining

JOBS = (
    document_prints,
    ecg_chunks,
    erasing,
    erasing_people,
    erasing_school,
    erasure,
    erasures_done,
    failing_takes,
    forgetting,
    health_retention,
    held_objects,
    lost_files,
    lost_slides,
    months,
    notes,
    notice_ways,
    recoveries,
    retaining,
    retention,
)


async def run(settings: Settings) -> None:
    """Run jobs and seal the audit until SIGTERM or SIGINT."""
    async with sealed(settings):
        await run_worker(settings)


def main() -> None:
    """Run the program."""
    logs.configure()
    asyncio.run(run(Settings.from_env()))


if __name__ == "__main__":
    main()
