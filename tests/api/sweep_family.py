"""Ties between guardians and children, codes of a child, and a child helped at the desk.

Planted so that the sweep can ask each operation as the guardian, the child, its other guardian and
as others. A tie serves one operation: what somebody confirms or agrees to changes who sees whom.
"""

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sweep import CLERK, GUARDIAN, OTHER, SELF
from sweep_own import Own

from people.assistance import Assistances
from people.codes import LIFE, CodePurpose, Codes
from people.demo import CLINIC_7, GYMNASIUM_2, demo_id
from people.device_tokens import token_hash
from people.guardians import Guardianships
from people.policy import Kind, Right
from people.relations import grant
from storage.engine import new_id

_LONG = timedelta(hours=6)
# Of the purposes of a code those that a guardian shows for a child.
_SHOWN: tuple[CodePurpose, ...] = ("share_profile", "assist")
_CODES_EACH = 40
# A child of the clinic under fifteen, and who answers for its health.
_SMALL, _PARENT, _CLERK = (str(demo_id(x)) for x in ("pupil.aidar", "parent.damir", "clerk.zarina"))

Tie = tuple[dict[str, str], str]


@dataclass
class Family:
    """What was planted."""

    ties: dict[str, list[Tie]] = field(default_factory=dict)  # operation → ties to ask it of
    managed: dict[str, str] = field(default_factory=dict)  # organisation → a tie of its child
    asking: list[tuple[str, str, bool]] = field(default_factory=list)  # who, of whom, confirmed
    codes: dict[str, list[str]] = field(default_factory=dict)  # purpose → codes of a small child

    def of(self, operation: str) -> list[Tie]:
        """Give the ties an operation is asked of: its own, or the one that lives."""
        return self.ties.get(operation, self.ties["live"])


async def plant_family(db: AsyncSession, now: datetime) -> Family:
    """Make ties at every step, and codes that nobody has used."""
    family = Family()

    async def tie(who: str, whose: str, other: str | None = None, **more: Any) -> Tie:
        guardian, child = (str(demo_id(one)) for one in (who, whose))
        row = Guardianships(
            id=new_id(), guardian_id=UUID(guardian), child_id=UUID(child), asked_at=now, **more
        )
        db.add(row)
        family.asking.append((guardian, child, "confirmed_at" in more))
        others = {} if other is None else {str(demo_id(other)): OTHER}
        return {child: SELF, guardian: GUARDIAN} | others, str(row.id)

    head = demo_id("admin.svetlana")
    waits = {"confirmed_at": now, "confirmed_by_id": head, "school": True}
    asked = await tie("parent.elena", "pupil.aidar", "parent.damir")
    family.ties["confirmGuardianship"] = [asked]
    family.ties["agreeGuardianship"] = [
        await tie("patient.timur", "pupil.sofia", "teacher.anna", **waits)
    ]
    # Confirmed by then: the guardian gives it up, and nobody else.
    family.ties["endGuardianship"] = [asked, await tie("doctor.leila", "pupil.kamila")]
    teacher, pupil = demo_id("teacher.anna"), demo_id("pupil.sofia")
    query = select(Guardianships.id).where(
        Guardianships.guardian_id == teacher, Guardianships.child_id == pupil
    )
    lives = await db.scalar(query)
    family.ties["live"] = [({str(pupil): SELF, str(teacher): GUARDIAN}, str(lives))]
    # Of a teen who has not agreed: what the school confirms gives nothing yet.
    _, of_teen = await tie("patient.timur", "pupil.mark")
    family.managed[str(demo_id(GYMNASIUM_2))] = of_teen
    for purpose in _SHOWN:
        family.codes[purpose] = [secrets.token_urlsafe(16) for _ in range(_CODES_EACH)]
        db.add_all(_code(purpose, code, now) for code in family.codes[purpose])
    await db.flush()
    return family


def _code(purpose: CodePurpose, code: str, now: datetime) -> Codes:
    return Codes(
        sha256=token_hash(code),
        person_id=UUID(_SMALL),
        purpose=purpose,
        params={"shown_by": _PARENT},
        made_at=now,
        expires_at=now + max(LIFE, _LONG),
    )


async def help_child(db: AsyncSession, own: Own, now: datetime) -> None:
    """Let the clerk act for a small child whose guardian showed its code."""
    place = demo_id(CLINIC_7)
    row = Assistances(
        id=new_id(),
        helper_id=UUID(_CLERK),
        person_id=UUID(_SMALL),
        organisation_id=place,
        since=now,
        until=now + _LONG,
    )
    db.add(row)
    right = Right(
        actor_id=row.helper_id,
        kind=Kind.ASSISTANCE,
        subject_id=row.person_id,
        organisation_id=place,
        about_id=row.id,
        since=now,
        until=row.until,
    )
    await grant(db, right, "test")
    sides = {_SMALL: SELF, _PARENT: GUARDIAN, _CLERK: CLERK}
    own["assistance_id"].append((sides, str(row.id)))
