"""The commands that start something."""

import asyncio
import json
import os
import sys
import time
from datetime import UTC, datetime
from typing import Any

from ops.children import Cannot
from ops.home import locked, prepare_home, running_pid
from ops.house import ROOT, program_env, stages
from ops.seed import print_sign_ins, seed
from ops.stores import stores_up
from ops.supervisor import Supervisor, on_signals, say
from ops.trust import trust_lines
from people.first_administrator import AdministratorThere, offer
from people.lost_factors import reset_on_the_machine
from people.refused import NotFound
from storage.engine import make_engine, sessions
from storage.settings import Settings


async def serve(settings: Settings, *, demo: bool) -> None:
    """Start everything, say where it is, run until Ctrl-C. Raises Cannot."""
    began = time.monotonic()
    prepare_home(settings)
    with locked(settings.home) as kids:
        say(f"Starting Yanasha in {settings.home}.")
        table = await asyncio.to_thread(stages, settings)
        supervisor = Supervisor(settings.home, table, kids, urls=list(settings.urls))
        on_signals(supervisor, lambda: say("Stopping."))
        seeding = asyncio.create_task(_seed_when_migrated(supervisor, settings)) if demo else None
        try:
            await supervisor.start()
            if seeding is not None:
                world = await supervisor.unless_stopped(seeding)
                if world is not None:
                    say("Demo people (login, password):")
                    print_sign_ins(world)
            if not supervisor.stopping.is_set():
                say(f"Yanasha is ready after {time.monotonic() - began:.1f} s:")
                for url in settings.urls:
                    say(f"  {url}")
                for line in trust_lines(settings):
                    say(line)
                say("Stop it with Ctrl-C.")
            await supervisor.run()
        finally:
            if seeding is not None:
                seeding.cancel()
            await supervisor.stop()
    say("Stopped.")


async def _seed_when_migrated(
    supervisor: Supervisor, settings: Settings
) -> dict[str, list[dict[str, Any]]]:
    """Seed while the API is still starting: it takes seconds, and needs the tables only."""
    await supervisor.named("migrate").ready.wait()
    return await seed(settings)


async def _program(settings: Settings, *words: str, aside: bool = False) -> int:
    """Run one of our own programs on this terminal; give its exit code."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        *words,
        env=program_env(settings),
        cwd=ROOT,
        stdout=sys.stderr if aside else None,
    )
    return await process.wait()


async def _migrated(settings: Settings) -> int:
    """Bring the tables up to this version where only we run the stores; gives the exit code."""
    if running_pid(settings.home) != os.getpid():
        return 0
    return await _program(settings, "storage.migrate", aside=True)


async def openapi(settings: Settings) -> int:
    """Print the API's description; needs no store."""
    return await _program(settings, "api.schema")


async def migrate(settings: Settings) -> int:
    """Bring the database's tables up to this version; starts the stores when nothing runs."""
    async with stores_up(settings):
        return await _program(settings, "storage.migrate")


async def seed_demo(settings: Settings, *, as_json: bool) -> int:
    """Make the demo world and print it; starts the stores when nothing runs."""
    async with stores_up(settings):
        if (code := await _migrated(settings)) != 0:
            return code
        world = await seed(settings)
    if as_json:
        say(json.dumps(world, ensure_ascii=False, indent=1))
    else:
        print_sign_ins(world)
    return 0


async def first_administrator(settings: Settings) -> int:
    """Print where the first administrator begins; starts the stores when nothing runs."""
    async with stores_up(settings):
        if (code := await _migrated(settings)) != 0:
            return code
        engine = make_engine(settings.database_url)
        try:
            async with sessions(engine)() as db, db.begin():
                word = await offer(db, datetime.now(UTC))
        except AdministratorThere as there:
            raise Cannot(
                "Somebody administers an organisation here already: "
                "administrators make further ones on their own page."
            ) from there
        finally:
            await engine.dispose()
    say("Open this address within an hour; it works once:")
    for url in settings.urls:
        say(f"  {url}/#/enter/{word}")
    return 0


async def reset_factors(settings: Settings, login: str) -> int:
    """Take away a person's second factors and print a one-time link; the person hears of both."""
    async with stores_up(settings):
        if (code := await _migrated(settings)) != 0:
            return code
        engine = make_engine(settings.database_url)
        try:
            async with sessions(engine)() as db, db.begin():
                secret = await reset_on_the_machine(db, login, datetime.now(UTC))
        except NotFound as nobody:
            raise Cannot(f"Nobody signs in with the login {login}.") from nobody
        finally:
            await engine.dispose()
    say("The second factors are gone and every session has ended; the password is as it was.")
    if secret is not None:
        say("Is it lost too? This address gives a new one; it works once, for 15 minutes:")
        for url in settings.urls:
            say(f"  {url}/#/enter/{secret}")
    return 0
