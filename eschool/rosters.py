"""Classes out of a list of pupils: made when they are not there, and pupils moved into them.

What a list says of a pupil's classes is the whole truth of them: a class it no longer names ends.
Pupils it does not name at all keep theirs.
"""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from eschool.lessons import Classes
from people import audit
from people.administration import require_at
from people.audit import Done
from people.facts import RightsChanged, emit
from people.policy import Act, Actor, Kind, Right, Thing
from people.relations import Relations, grant_all
from storage.engine import new_id

SOURCE = "roster"


async def seat(
    db: AsyncSession,
    actor: Actor,
    organisation_id: UUID,
    pupils: Mapping[UUID, tuple[str, ...]],
    now: datetime,
) -> None:
    """Put pupils into the classes named for each, and out of their others of this school."""
    if not pupils:
        return
    require_at(actor, Act.SCHEDULE_LESSON, organisation_id, now)
    names = {name for classes in pupils.values() for name in classes}
    ids = await _classes(db, organisation_id, names)
    wanted = {(pupil, ids[name]) for pupil, classes in pupils.items() for name in classes}
    held = select(Relations.id, Relations.actor_id, Relations.about_id).where(
        Relations.kind == Kind.CLASS.value,
        Relations.organisation_id == organisation_id,
        Relations.live(now),
    )
    over = [
        (row_id, pupil, class_id)
        for row_id, pupil, class_id in (await db.execute(held)).all()
        if pupil in pupils and (pupil, class_id) not in wanted
    ]
    if over:
        await db.execute(
            update(Relations)
            .where(Relations.id.in_([row_id for row_id, _, _ in over]))
            .values(until=now)
            .execution_options(synchronize_session=False)
        )
    rights = [
        Right(
            actor_id=pupil,
            kind=Kind.CLASS,
            organisation_id=organisation_id,
            about_id=class_id,
            since=now,
        )
        for pupil, class_id in sorted(wanted)
    ]
    given = await grant_all(db, rights, SOURCE)
    changes = [
        *(("class_ended", pupil, class_id) for _, pupil, class_id in over),
        *(("class_given", right.actor_id, right.about_id) for right in given),
    ]
    acts = [
        Done(act, Thing(subject_id=pupil, organisation_id=organisation_id, about=(class_id,)))
        for act, pupil, class_id in changes
        if class_id is not None
    ]
    await audit.acted_often(db, actor.id, acts, now)
    # Who only gained a class sits in no room of it yet.
    for pupil in dict.fromkeys(pupil for _, pupil, _ in over):
        emit(db, RightsChanged(at=now, person_id=pupil))


async def class_names(db: AsyncSession, class_ids: set[UUID]) -> dict[UUID, str]:
    """Names of classes; whoever asks holds the ids by right already."""
    if not class_ids:
        return {}
    query = select(Classes.id, Classes.name).where(Classes.id.in_(class_ids))
    return {row.id: row.name for row in await db.execute(query)}


async def _classes(db: AsyncSession, organisation_id: UUID, names: set[str]) -> dict[str, UUID]:
    """Find or make the classes of these names."""
    query = select(Classes.name, Classes.id).where(
        Classes.organisation_id == organisation_id, Classes.name.in_(names)
    )
    ids = {row.name: row.id for row in await db.execute(query)}
    for name in sorted(names - ids.keys()):
        ids[name] = new_id()
        db.add(Classes(id=ids[name], organisation_id=organisation_id, name=name))
    await db.flush()
    return ids
