"""The job runner: `python -m api.runner`. Importing a room's jobs registers them."""

import asyncio

from api import logs
from eschool import lost_slides
from storage.jobs import run_worker
from storage.settings import Settings
from telemed import ecg_chunks

JOBS = (ecg_chunks, lost_slides)


def main() -> None:
    """Run jobs until SIGTERM or SIGINT."""
    logs.configure()
    asyncio.run(run_worker(Settings.from_env()))


if __name__ == "__main__":
    main()
