"""What of a child's audit is a guardian's business."""

from collections.abc import Iterable

from sqlalchemy import ColumnElement, Table, exists, or_, select
from sqlalchemy.orm import aliased

from people.organisations import OrganisationKind, Organisations
from people.policy import Actor, Kind
from people.relations import Relations

_GUARDS = (Kind.GUARDIANSHIP, Kind.CHILD_HEALTH, Kind.CHILD_SCHOOL)
_WORKS = (Kind.DUTY, Kind.CLERKSHIP, Kind.ADMINISTRATION)


def for_guardian(table: Table, actor: Actor, *, school: bool) -> Iterable[ColumnElement[bool]]:
    """SQL: rows that are no other guardian's and, unless `school` is open to him, no school's."""
    if not school:
        schools = select(Organisations.id).where(Organisations.kind == OrganisationKind.SCHOOL)
        place = table.c.organisation_id
        yield or_(place.is_(None), place.not_in(schools))
    guards, works = aliased(Relations), aliased(Relations)
    as_guardian = exists().where(
        guards.actor_id == table.c.actor_id,
        guards.subject_id == table.c.subject_id,
        guards.kind.in_([kind.value for kind in _GUARDS]),
    )
    # Whoever works where it was done wore that hat, although he is a guardian as well.
    at_work = exists().where(
        works.actor_id == table.c.actor_id,
        works.organisation_id == table.c.organisation_id,
        works.kind.in_([kind.value for kind in _WORKS]),
    )
    yield or_(table.c.actor_id == actor.id, ~as_guardian, at_work)
