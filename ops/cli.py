"""`yanasha`: what an operator types.

Cannot, BadSetting, UnsafeSecret: one sentence on the screen, exit code 1, no traceback.
"""

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import Sequence
from typing import Any

from ops.children import Cannot
from ops.home import locked, prepare_home, read_state, running_pid, sentence
from ops.house import ROOT, http_status, program_env, stages
from ops.seed import print_sign_ins, seed
from ops.stores import stores_up
from ops.supervisor import Supervisor, on_signals, say
from storage.secrets import UnsafeSecret
from storage.settings import BadSetting, Settings

_OK = 200
_INTERRUPTED = 130


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


async def migrate(settings: Settings) -> int:
    """Bring the database's tables up to this version; starts the stores when nothing runs."""
    async with stores_up(settings):
        return await _program(settings, "storage.migrate")


async def seed_demo(settings: Settings, *, as_json: bool) -> int:
    """Make the demo world and print it; starts the stores when nothing runs."""
    async with stores_up(settings):
        if running_pid(settings.home) == os.getpid():
            code = await _program(settings, "storage.migrate", aside=True)
            if code != 0:
                return code
        world = await seed(settings)
    if as_json:
        say(json.dumps(world, ensure_ascii=False, indent=1))
    else:
        print_sign_ins(world)
    return 0


async def status(settings: Settings, *, as_json: bool) -> int:
    """Show what runs; 1 when nothing does."""
    pid = running_pid(settings.home)
    found: dict[str, Any] = {"running": pid is not None, "home": str(settings.home)}
    if pid is not None:
        found |= read_state(settings.home)
        found["ready"] = await _ready(settings)
    if as_json:
        say(json.dumps(found, ensure_ascii=False, indent=1))
    elif pid is None:
        say(f"Yanasha is not running in {settings.home}.")
    else:
        answer = "ready" if found["ready"] else "not ready"
        since = found.get("started_at", "?")
        say(f"Yanasha is {answer}, pid {pid}, since {since}, in {settings.home}.")
        for url in found.get("urls", []):
            say(f"  {url}")
        say(f"  {'child':9} {'pid':>7}  {'state':9} {'up since':21} restarts")
        for row in found.get("children", []):
            say(
                f"  {row['name']:9} {row['pid'] or '-':>7}  {row['state']:9} "
                f"{row['up_since'] or '-':21} {row['restarts']}"
            )
    return 0 if pid is not None else 1


async def _ready(settings: Settings) -> bool:
    try:
        async with asyncio.timeout(4):
            return await http_status(settings, "/readyz") == _OK
    except (OSError, TimeoutError):
        return False


def _parser() -> argparse.ArgumentParser:
    def add(name: str, text: str, example: str) -> argparse.ArgumentParser:
        return commands.add_parser(
            name,
            help=text,
            description=text[0].upper() + text[1:] + ".",
            epilog=f"example:\n  {example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    parser = argparse.ArgumentParser(
        prog="yanasha",
        description="Remote consultations and lessons on one server of your own.",
        epilog="Settings are environment variables: docs/operations.md has the table.\n\n"
        "example:\n  YANASHA_HOME=~/yanasha yanasha serve --demo",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    one = add(
        "serve",
        "start everything and keep it running until Ctrl-C",
        "yanasha serve --lan        # other devices in the local network, see docs/lan.md",
    )
    where = one.add_mutually_exclusive_group()
    where.add_argument(
        "--lan", action="store_true", help="https for the local network, with an own authority"
    )
    where.add_argument("--domain", help="https with a public certificate for this domain name")
    one.add_argument("--demo", action="store_true", help="with demo clinics, schools and people")
    add("migrate", "bring the database's tables up to this version", "yanasha migrate")
    one = add(
        "seed",
        "make the demo clinics, schools and people, and print their passwords",
        "yanasha seed --demo --json | jq '.persons[].login'",
    )
    one.add_argument("--demo", action="store_true", required=True, help="what to make: a demo")
    one.add_argument("--json", action="store_true", help="everything, for programs")
    add("openapi", "print the API's description (OpenAPI 3.1, JSON)", "yanasha openapi > api.json")
    one = add("status", "show what runs, since when, how often restarted", "yanasha status --json")
    one.add_argument("--json", action="store_true", help="for programs")
    return parser


def _run(words: Sequence[str] | None) -> int:
    asked = _parser().parse_args(words)
    environ = dict(os.environ)
    if asked.command == "serve":
        if asked.lan:
            environ["YANASHA_LAN"] = "1"
        if asked.domain:
            environ["YANASHA_DOMAIN"] = asked.domain
    settings = Settings.from_env(environ)
    try:
        match asked.command:
            case "serve":
                asyncio.run(serve(settings, demo=asked.demo))
                return 0
            case "migrate":
                return asyncio.run(migrate(settings))
            case "seed":
                return asyncio.run(seed_demo(settings, as_json=asked.json))
            case "openapi":
                return asyncio.run(_program(settings, "api.schema"))
            case _:
                return asyncio.run(status(settings, as_json=asked.json))
    except OSError as error:
        raise Cannot(sentence(error, settings.home)) from error


def main(words: Sequence[str] | None = None) -> int:
    """Run the command line; 1 and one sentence when it cannot."""
    try:
        return _run(words)
    except (Cannot, BadSetting, UnsafeSecret) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        return _INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
