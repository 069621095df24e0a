"""The page of rights is what the code gives, and no role reaches into another organisation."""

import pytest
from litestar import get

from api import app, rights
from people.policy import ACTS, Act, Kind, Reach, Rule


@pytest.fixture
def fresh() -> None:
    """The page is written anew."""
    rights.text.cache_clear()


@pytest.mark.usefixtures("fresh")
def test_the_reviewed_page_is_what_routes_and_rules_say() -> None:
    """After a change run `python -m api.rights`, and look at the lines that changed."""
    assert rights.PAGE.read_text() == rights.text()


@pytest.mark.usefixtures("fresh")
def test_a_route_that_nobody_wrote_down_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    @get("/leak", operation_id="leak", act=Act.LOOK_AT_SERVICE, sync_to_thread=False)
    def leak() -> None:
        """A new route."""

    before, routes = rights.text(), app.data_routes()
    rights.text.cache_clear()
    monkeypatch.setattr(app, "data_routes", lambda: [*routes, leak])
    changed = set(rights.text().splitlines()) - set(before.splitlines())
    assert changed == {"| `leak` | `GET /api/v1/leak` | `look_at_service` | anyone |"}


@pytest.mark.usefixtures("fresh")
def test_a_rule_that_gives_more_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    before = rights.text()
    rights.text.cache_clear()
    wider = (*ACTS[Act.READ_NOTE], Rule(Reach.ORGANISATION, Kind.DUTY))
    monkeypatch.setitem(ACTS, Act.READ_NOTE, wider)
    assert "colleague" in rights.given(Act.READ_NOTE)
    assert before != rights.text()


def test_every_kind_of_relation_stands_behind_a_role() -> None:
    """A new kind belongs on the page."""
    held = {right.kind for actor, _ in rights.ROLES.values() for right in actor.rights}
    assert held == set(Kind) - {Kind.ATTACHMENT}
    assert not any(rule.kind is Kind.ATTACHMENT for rules in ACTS.values() for rule in rules)


def test_a_role_of_one_organisation_gives_in_another_only_what_needs_none() -> None:
    """One's own, a child's, a device's person: whoever holds these holds them everywhere."""
    anywhere = {
        act
        for act, rules in ACTS.items()
        if any(rule.reach in {Reach.ANYONE, Reach.SELF, Reach.SUBJECT} for rule in rules)
    }
    far = set(rights.elsewhere())
    assert {act for _, act in far} <= anywhere
    people_of_a_house = {"administrator", "clerk", "colleague", "doctor of visit", "teacher"}
    assert {act for role, act in far if role in people_of_a_house} == {
        Act.SIGN_IN,
        Act.LOOK_AT_SERVICE,
    }
