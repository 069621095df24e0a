"""What a zoo of hostile files costs everybody else: one API process, asked by others meanwhile.

    python -m bench.files

First nobody hands anything in; then two people hand in every file of tests/storage/file_zoo.py, one
after another, while four others ask for a list. The memory is the API's, not its children's.
"""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import httpx

from bench.harness import Row, at_least, at_most, percentile, report
from bench.stores import running_stores
from people.sessions import start_session
from storage import data_keys, migrate
from storage.engine import make_engine, sessions
from storage.settings import Settings

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "storage"))

from file_zoo import GOOD, ZOO

from tests.telemed import clinic_house

ROOT = Path(__file__).parents[1]
CALM_S = 6.0
ASKING = 4
PACE_S = 0.05
BAR_MB, BAR_TIMES = 50, 1.5
API = "/api/v1"


@dataclass
class Api:
    """A running API, a visit and the sessions of its sides."""

    base: str
    pid: int
    visit: str
    patient: str
    doctor: str

    def client(self, token: str) -> httpx.AsyncClient:
        """A client signed in by this session."""
        return httpx.AsyncClient(base_url=self.base, cookies={"yanasha": token}, timeout=60)

    def memory_mb(self) -> float:
        """What the process holds in memory."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) / 1024


Case = tuple[str, bytes, str]


def made() -> list[Case]:
    """The whole zoo and the good files: name, bytes, verdict. Made before: it takes seconds."""
    cases = [(one.name, one.make(), one.code) for one in ZOO.values()]
    return cases + [(name, make(), "") for name, make in GOOD.values()]


async def handed_in(api: Api, token: str, cases: list[Case]) -> tuple[int, int]:
    """Hand them in one after another; how many got the right verdict, and of how many."""
    right = 0
    async with api.client(token) as client:
        for name, data, code in cases:
            url = f"{API}/visits/{api.visit}/files/{uuid4()}"
            headers = {"Content-Type": "application/octet-stream"}
            answer = await client.put(url, params={"name": name}, content=data, headers=headers)
            found = answer.json().get("code", "")
            right += found == code and answer.is_success is not bool(code)
            if found != code:
                print(f"{name}: {found or 'kept'} instead of {code or 'kept'}", file=sys.stderr)
    return right, len(cases)


async def asked(api: Api, token: str, until: asyncio.Event) -> list[float]:
    """Ask for the list at a steady pace; milliseconds of every answer."""
    took = []
    async with api.client(token) as client:
        while not until.is_set():
            started = time.perf_counter()
            answer = await client.get(f"{API}/visits/{api.visit}/files")
            answer.raise_for_status()
            took.append((time.perf_counter() - started) * 1000)
            with suppress(TimeoutError):
                await asyncio.wait_for(until.wait(), PACE_S)
    return took


async def meanwhile(api: Api, work: asyncio.Task[object]) -> float:
    """The 95th percentile of what others wait while `work` is done."""
    done = asyncio.Event()
    work.add_done_callback(lambda _: done.set())
    answers = await asyncio.gather(*(asked(api, api.doctor, done) for _ in range(ASKING)))
    return percentile([one for took in answers for one in took], 0.95)


async def measured(api: Api) -> list[Row]:
    """The rows."""
    cases = await asyncio.to_thread(made)
    # What is loaded once is no growth. All but the last: a visit has room for fifty files.
    await handed_in(api, api.doctor, cases[:-1])
    before = api.memory_mb()
    calm = await meanwhile(api, asyncio.create_task(asyncio.sleep(CALM_S)))
    zoo = asyncio.gather(*(handed_in(api, who, cases) for who in (api.patient, api.doctor)))
    busy = await meanwhile(api, asyncio.ensure_future(zoo))
    results = await zoo
    right, all_of_them = (sum(column) for column in zip(*results, strict=True))
    return [
        at_least("zoo.verdicts", right, f"of {all_of_them} files", bar=all_of_them),
        at_most("zoo.memory", api.memory_mb() - before, "MB more in the API", bar=BAR_MB),
        at_most("zoo.p95", busy / calm, "x calm, others' p95", bar=BAR_TIMES, peer=calm),
    ]


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Api]:
    """A clinic, and the API over it."""
    data_keys.unlock(settings.home)
    now = clinic_house.NOW = datetime.now(UTC)
    engine = make_engine(settings.database_url)
    async with sessions(engine)() as db, db.begin():
        house = await clinic_house.furnish(db)
        tokens = [
            (await start_session(db, person, "127.0.0.0/24", now, staff=False)).token
            for person in (house.patient, house.doctor)
        ]
    await engine.dispose()
    env = settings.to_env() | {"PATH": os.environ["PATH"]}
    quiet = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "api"), cwd=ROOT, env=env, stdout=quiet, stderr=quiet
    )
    api = Api(f"http://127.0.0.1:{settings.http_port}", process.pid, str(house.visit), *tokens)
    try:
        async with asyncio.timeout(60), httpx.AsyncClient(base_url=api.base) as client:
            while True:
                with suppress(httpx.TransportError):
                    if (await client.get("/healthz")).is_success:
                        break
                await asyncio.sleep(0.05)
        yield api
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def zoo_of_files(settings: Settings) -> list[Row]:
    """The rows, on migrated stores."""
    own_port = replace(settings, http_port=20_000 + os.getpid() % 10_000)
    async with running(own_port) as api:
        return await measured(api)


def measure() -> list[Row]:
    """The rows of files, on stores of their own."""
    with running_stores() as stores:
        migrate.upgrade(stores.database_url)
        return asyncio.run(zoo_of_files(stores))


if __name__ == "__main__":
    sys.exit(report("files", measure()))
