"""The demo clinics and schools: each room makes its own part, we join what they print."""

import asyncio
import json
import sys
from typing import Any

from ops.children import Cannot
from ops.house import ROOT, program_env
from ops.supervisor import say
from storage.settings import Settings

PARTS = ("people.demo", "eschool.demo", "telemed.demo")


async def seed(settings: Settings) -> dict[str, list[dict[str, Any]]]:
    """Make the demo world, or find it made; give who is in it. Raises Cannot.

    The stores have to be up and migrated. A second call gives the same people and passwords.
    """
    world: dict[str, list[dict[str, Any]]] = {}
    for part in PARTS:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            part,
            "--json",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            env=program_env(settings),
            cwd=ROOT,
            start_new_session=True,  # Ctrl-C at the terminal is for us to pass on
        )
        try:
            said, _ = await process.communicate()
        except asyncio.CancelledError:
            process.kill()
            raise
        if process.returncode != 0:
            raise Cannot(f"The demo data of {part} could not be made: its lines above say why.")
        for key, rows in json.loads(said).items():
            world.setdefault(key, []).extend(rows)
    return world


def print_sign_ins(world: dict[str, list[dict[str, Any]]]) -> None:
    """Print who can sign in, by organisation."""
    names = {one["id"]: one["name"] for one in world.get("organisations", [])}
    persons = [one for one in world.get("persons", []) if one.get("login")]
    persons.sort(key=lambda one: (names.get(one.get("organisation_id"), ""), one["login"]))
    width = max((len(one["login"]) for one in persons), default=0)
    heading = None
    for one in persons:
        organisation = names.get(one.get("organisation_id"), "")
        if organisation != heading:
            heading = organisation
            say(f"  {organisation or 'At home'}")
        roles = ", ".join(one["roles"])
        say(f"    {one['login']:{width}}  {one['password']}  {one['name']} ({roles})")
