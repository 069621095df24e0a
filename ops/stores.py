"""The embedded stores alone: for commands that need them while nothing runs, and for tests.

`python -m ops.stores` keeps them up until its standard input closes; with `--throw-away` nothing
is synced to disk and the folder is deleted at the end.
"""

import argparse
import asyncio
import dataclasses
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ops.children import Cannot, Child
from ops.home import locked, prepare_home, running_pid, sentence
from ops.postgres import Postgres
from ops.seaweed import Seaweed
from ops.supervisor import Supervisor, on_signals, say, say_aside
from ops.users import server_user
from storage.secrets import UnsafeSecret
from storage.settings import BadSetting, Settings


def store_children(settings: Settings, *, throw_away: bool = False) -> list[Child]:
    """Prepare the embedded stores and give their rows; none when both are outside."""
    uid = server_user(settings.home)
    servers: list[Postgres | Seaweed] = []
    if settings.embedded_postgres:
        servers.append(Postgres(settings, uid, throw_away=throw_away))
    if settings.embedded_objects:
        servers.append(Seaweed(settings, uid, throw_away=throw_away))
    for server in servers:
        server.prepare()
    return [server.child() for server in servers]


@asynccontextmanager
async def stores_up(settings: Settings) -> AsyncIterator[None]:
    """Have the stores running: those of a running supervisor, or our own until the block ends."""
    if running_pid(settings.home) is not None:
        yield
        return
    prepare_home(settings)
    with locked(settings.home) as kids:
        children = await asyncio.to_thread(store_children, settings)
        supervisor = Supervisor(settings.home, [children], kids, say_aside)
        on_signals(supervisor, lambda: None)
        try:
            await supervisor.start()
            if supervisor.stopping.is_set():
                raise Cannot("Stopped before the stores were ready.")
            yield
        finally:
            await supervisor.stop()


async def _serve(settings: Settings, *, throw_away: bool) -> None:
    prepare_home(settings)
    with locked(settings.home) as kids:
        children = await asyncio.to_thread(store_children, settings, throw_away=throw_away)
        if throw_away:  # nothing to write down, so nothing to wait for
            children = [
                dataclasses.replace(child, stop_signal=signal.SIGKILL, orphan_signal=signal.SIGKILL)
                if child.name == "objects"
                else child
                for child in children
            ]
        supervisor = Supervisor(settings.home, [children], kids)
        on_signals(supervisor, lambda: None)
        asyncio.get_running_loop().add_reader(sys.stdin, supervisor.stopping.set)
        try:
            await supervisor.start()
            if not supervisor.stopping.is_set():
                say("ready")
            await supervisor.run()
        finally:
            await supervisor.stop()


def main() -> int:
    """Run the program; 1 and one sentence when it cannot."""
    parser = argparse.ArgumentParser(prog="python -m ops.stores", description=__doc__)
    parser.add_argument(
        "--throw-away", action="store_true", help="for tests: delete all at the end"
    )
    throw_away = parser.parse_args().throw_away
    settings = Settings.from_env()
    try:
        asyncio.run(_serve(settings, throw_away=throw_away))
    except (Cannot, BadSetting, UnsafeSecret) as error:
        say(str(error))
        return 1
    except OSError as error:
        say(sentence(error, settings.home))
        return 1
    finally:
        if throw_away:
            shutil.rmtree(settings.home, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
