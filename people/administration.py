"""Acts of an administrator: refused as policy says, and to strangers as if nothing were there."""

from datetime import datetime
from uuid import UUID

from people.policy import Act, Actor, Thing, may, require
from people.refused import NotFound


def require_at(actor: Actor, act: Act, organisation_id: UUID, now: datetime) -> None:
    """Refuse an act of an organisation's administrator.

    Raises NotFound for somebody who has nothing to do with the organisation, Forbidden for one
    who belongs to it.
    """
    thing = Thing(organisation_id=organisation_id)
    if may(actor, act, thing, now):
        return
    if not any(r.organisation_id == organisation_id and r.live(now) for r in actor.rights):
        raise NotFound
    require(actor, act, thing, now)
