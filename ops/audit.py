"""`yanasha audit verify`: walk the audit's chain and say which row is the first wrong one."""

import asyncio

from ops.children import Cannot
from ops.stores import stores_up
from ops.supervisor import say
from people.audit_chain import Keys
from people.audit_verify import (
    Finding,
    Report,
    Wrong,
    checkpoints_in,
    kept_checkpoints,
    verify,
)
from storage.db_errors import is_away
from storage.engine import make_engine
from storage.objects import ObjectsAway
from storage.s3 import S3Objects
from storage.settings import Settings

_SAYS = {
    Wrong.CHANGED: "does not fit its link: it was edited, or swapped with another",
    Wrong.MISSING: "is gone, its link is still there",
    Wrong.CUT: "has no link any more: links were cut out or cut off from here on",
    Wrong.REWRITTEN: "is not what a checkpoint saw there: the chain was rewritten",
    Wrong.UNSEALED: "has neither link nor place in the queue: it was put in from outside",
}


async def verify_audit(settings: Settings) -> int:
    """Print what the walk found; 1 when something is wrong. Starts the stores if nothing runs."""
    async with stores_up(settings):
        try:
            report = await report_of(settings)
        except Exception as error:
            if not is_away(error):
                raise
            raise Cannot("The database does not answer, so nothing was verified.") from error
    for line in lines(report):
        say(line)
    return 0 if report.holds else 1


async def report_of(settings: Settings) -> Report:
    """Walk the chain of this installation."""
    keys = Keys.of(settings.home)
    objects = S3Objects(settings)
    try:
        others = await checkpoints_in(objects)
    except ObjectsAway:
        say("The object store is away: its checkpoints were not compared.")
        others = []
    finally:
        objects.close()
    kept = await asyncio.to_thread(kept_checkpoints, keys, others)
    engine = make_engine(settings.database_url, pool_size=1)
    try:
        async with engine.connect() as db:
            return await verify(db, keys, kept)
    finally:
        await engine.dispose()


def lines(report: Report) -> list[str]:
    """The report as an operator reads it."""
    said = [f"{report.links} rows are sealed, {report.checkpoints} checkpoints were compared."]
    if report.waiting:
        said.append(f"{report.waiting} rows wait for their seal: nothing vouches for them yet.")
    if report.forged_checkpoints:
        said.append(f"{report.forged_checkpoints} checkpoints are not signed by this house.")
    if report.unanchored:
        said.append("No checkpoint was found: a chain whose end was cut off would look the same.")
    if report.first_wrong is not None:
        said.append(f"The first wrong row is {_named(report.first_wrong)}.")
    elif report.holds:
        said.append("The audit is whole.")
    return said


def _named(found: Finding) -> str:
    place = f"number {found.sequence}" if found.sequence is not None else "without a number"
    row = f", {found.record}" if found.record is not None else ""
    return f"{place}{row}: it {_SAYS[found.wrong]}"
