"""The matrix of rights: who may ask for which operation and say which message, as a page to review.

    python -m api.rights

writes docs/rights.md from the routes and people/policy.py. A test compares: a new route, message,
act or rule shows as a changed line in a diff that somebody reads, and never by surprise.
"""

import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

from litestar import Litestar, Router
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute

from api.acts import acts_of, for_anyone
from api.socket_messages import ACTS as VISIT_MESSAGES
from api.socket_messages import LESSON_ACTS as LESSON_MESSAGES
from people.policy import ACTS, ANONYMOUS, Act, Actor, Kind, Reach, Right, Rule, Thing, may

PAGE = Path(__file__).resolve().parent.parent / "docs" / "rights.md"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
ME, OTHER, HERE, ELSEWHERE, THIS = (UUID(int=n) for n in range(1, 6))
MINE = Thing(subject_id=ME, organisation_id=HERE, about=(THIS,))
THEIRS = Thing(subject_id=OTHER, organisation_id=HERE, about=(THIS,))


def _held(kind: Kind, subject: UUID | None = None, about: UUID | None = None) -> Right:
    return Right(
        actor_id=ME, kind=kind, subject_id=subject, organisation_id=HERE, about_id=about, since=NOW
    )


_DUTY = _held(Kind.DUTY)
# Who, by the relations that make him so → what he asks for. Nothing else about a person counts.
ROLES: Mapping[str, tuple[Actor, Thing]] = {
    "nobody": (ANONYMOUS, THEIRS),
    "self": (Actor(ME), MINE),
    "stranger": (Actor(ME), THEIRS),
    "patient": (Actor(ME, (_held(Kind.APPOINTMENT, ME, THIS),)), MINE),
    "doctor of visit": (Actor(ME, (_DUTY, _held(Kind.APPOINTMENT, OTHER, THIS))), THEIRS),
    "doctor after visit": (Actor(ME, (_DUTY, _held(Kind.RECORD, OTHER, THIS))), THEIRS),
    "doctor with share": (Actor(ME, (_DUTY, _held(Kind.SHARE, OTHER))), THEIRS),
    "doctor, glass broken": (Actor(ME, (_DUTY, _held(Kind.BREAK_GLASS, OTHER))), THEIRS),
    "colleague": (Actor(ME, (_DUTY,)), THEIRS),
    "clerk": (Actor(ME, (_held(Kind.CLERKSHIP),)), THEIRS),
    "clerk assisting": (
        Actor(ME, (_held(Kind.CLERKSHIP), _held(Kind.ASSISTANCE, OTHER))),
        THEIRS,
    ),
    "guardian, health": (Actor(ME, (_held(Kind.CHILD_HEALTH, OTHER),)), THEIRS),
    "guardian, school": (Actor(ME, (_held(Kind.CHILD_SCHOOL, OTHER),)), THEIRS),
    "guardian, tie only": (Actor(ME, (_held(Kind.GUARDIANSHIP, OTHER),)), THEIRS),
    "teacher": (
        Actor(ME, (_DUTY, _held(Kind.TEACHING, None, THIS))),
        Thing(organisation_id=HERE, about=(THIS,)),
    ),
    "pupil": (
        Actor(ME, (_held(Kind.CLASS, None, THIS),)),
        Thing(organisation_id=HERE, about=(THIS,)),
    ),
    "administrator": (Actor(ME, (_held(Kind.ADMINISTRATION),)), THEIRS),
    "device": (Actor(ME, (_held(Kind.DEVICE, OTHER),)), THEIRS),
}


def operations() -> Iterator[tuple[str, str, tuple[Act, ...]]]:
    """Name, method and path, and acts of every operation, by name."""
    from api.app import PREFIX, data_routes  # noqa: PLC0415 - the app has this among its programs
    from api.db import DEPENDENCIES  # noqa: PLC0415
    from api.health import ROUTES as SERVICE  # noqa: PLC0415

    app = Litestar(
        [Router(PREFIX, route_handlers=data_routes()), *SERVICE],
        dependencies=DEPENDENCIES,
        openapi_config=None,
        logging_config=None,
    )
    found = [
        (handler.operation_id or handler.handler_name, f"{method} {route.path_format}", handler)
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for handler in route.route_handlers
        for method in _methods(handler)
    ]
    for name, where, handler in sorted(found, key=lambda one: (str(one[0]), str(one[1]))):
        yield str(name), where, acts_of(handler.opt)


def _methods(handler: HTTPRouteHandler) -> list[str]:
    return sorted(set(handler.http_methods) - {"OPTIONS", "HEAD"})


def messages() -> Iterator[tuple[str, str, tuple[Act, ...]]]:
    """Every message of the sockets."""
    for where, acts in (("/ws/visits", VISIT_MESSAGES), ("/ws/lessons", LESSON_MESSAGES)):
        for message, act in acts.items():
            yield message.__name__, where, (act,)
    yield "DeviceHello and frames", "/ws/device", (Act.SEND_ECG,)


def given(act: Act) -> list[str]:
    """Which roles are given `act`."""
    return [role for role, (actor, thing) in ROLES.items() if may(actor, act, thing, NOW)]


def _rule(rule: Rule) -> str:
    words = {
        Reach.ANYONE: "anyone",
        Reach.SELF: "one's own",
        Reach.SUBJECT: "for that person",
        Reach.SUBJECT_AT: "for that person, at that organisation",
        Reach.ORGANISATION: "at that organisation",
        Reach.ABOUT: "about this very thing",
    }
    parts = [] if rule.kind is None else [f"`{rule.kind.value}`"]
    parts.append(words[rule.reach])
    parts += ["and one's own"] if rule.own else []
    parts += ["and on duty there"] if rule.on_duty else []
    return " ".join(parts)


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(cells) + " |" for cells in lines]


_ABOUT = """\
Written by `python -m api.rights` from the routes and from `people/policy.py`; never by hand. A
changed line of it in a commit shows who may do more, or less, than before.

A role is the set of relations behind it, as rows of one table; a person may wear several hats, and
none of them gives anything through another. Who asks for a thing he may not see is told that there
is none (404); who may see it but not do this, that it is forbidden (403).

Where an operation names several acts, its verb judges by the one that fits, or shows more to who
is given the others too; tests/api/test_sweep.py holds the page to what is really judged. What
somebody opened himself, as an emergency, he ends without being given anything."""


@cache
def text() -> str:
    """The page."""
    acts = [
        [f"`{act.value}`", "; ".join(_rule(rule) for rule in ACTS[act]), ", ".join(given(act))]
        for act in Act
    ]
    every = [*operations(), *messages()]
    named = {act for _, _, several in every for act in several}
    rows = [
        [f"`{name}`", f"`{where}`", ", ".join(f"`{act.value}`" for act in several), _by(several)]
        for name, where, several in every
    ]
    unused = [f"`{act.value}`" for act in Act if act not in named]
    lines = [
        "# Rights: role × operation",
        "",
        _ABOUT,
        "",
        "## Operations and messages",
        "",
        *_table(["operation", "where", "act", "given to"], rows),
        "",
        "## Acts",
        "",
        *_table(["act", "by which relation", "given to"], acts),
        "",
        "Acts that no route names, because a verb asks for them: " + ", ".join(unused) + ".",
        "",
    ]
    return "\n".join(lines)


def _by(acts: tuple[Act, ...]) -> str:
    """Who is given one of these acts; of several each by itself."""
    who = {act: "anyone" if for_anyone(act) else ", ".join(given(act)) for act in acts}
    if len(acts) == 1:
        return who[acts[0]]
    return "; ".join(f"`{act.value}`: {roles}" for act, roles in who.items())


def elsewhere() -> Iterator[tuple[str, Act]]:
    """Roles that are given an act in an organisation they have nothing to do with."""
    for role, (actor, thing) in ROLES.items():
        far: dict[str, Any] = {"organisation_id": ELSEWHERE, "about": thing.about}
        there = Thing(subject_id=thing.subject_id, **far)
        for act in Act:
            if may(actor, act, there, NOW):
                yield role, act


if __name__ == "__main__":
    PAGE.write_text(text())
    sys.stdout.write(f"{PAGE}\n")
