"""Charts over HTTP: nobody, a stranger, who may look, and what cannot be asked."""

from datetime import UTC, datetime, timedelta

import pytest
from api_world import API, Client, World, code, reading


def ask(**changes: object) -> dict[str, str]:
    """What a page asks: a day up to a little later than now."""
    now = datetime.now(UTC)
    asked: dict[str, object] = {
        "kind": "blood_pressure",
        "since": (now - timedelta(days=1)).isoformat(),
        "until": (now + timedelta(minutes=1)).isoformat(),
        "bands": 20,
    }
    return {name: str(value) for name, value in (asked | changes).items()}


@pytest.fixture(params=["visit", "record"])
def path(request: pytest.FixtureRequest, world: World) -> str:
    """Where a chart of the patient is asked for."""
    if request.param == "visit":
        return f"{API}/visits/{world['visit']}/chart"
    return f"{API}/records/{world['patient']}/chart"


async def test_a_chart_is_for_who_may_see_the_readings(
    path: str, as_: Client, world: World
) -> None:
    assert code(await as_().get(path, params=ask())) == (401, "not_signed_in")
    assert code(await as_("doctor_b").get(path, params=ask())) == (404, "not_found")
    headers = {"Authorization": f"Bearer {world.device_tokens['patient:cuff']}"}
    high = reading(2, values={"systolic": 171, "diastolic": 90})
    sent = await as_().post(
        f"{API}/readings", json={"readings": [reading(1), high]}, headers=headers
    )
    assert sent.status_code == 201, sent.text
    chart = (await as_("patient").get(path, params=ask())).json()
    assert chart["kind"] == "blood_pressure"
    systolic = next(line for line in chart["lines"] if line["name"] == "systolic")
    assert sum(band["n"] for band in systolic["bands"]) == 2
    assert min(band["low"] for band in systolic["bands"]) == 128
    assert max(band["high"] for band in systolic["bands"]) == 171


async def test_the_visits_doctor_sees_its_chart(as_: Client, world: World) -> None:
    """Empty, and of the unit that the kind is kept in, when nothing was measured."""
    answer = await as_("doctor").get(f"{API}/visits/{world['visit']}/chart", params=ask())
    assert answer.status_code == 200, answer.text
    assert answer.json()["lines"] == []


async def test_what_is_no_chart_is_refused(path: str, as_: Client) -> None:
    client = as_("patient")
    for name, value in (
        ("kind", "mood"),
        ("bands", 0),
        ("bands", 2001),
        ("since", "yesterday"),
        ("until", "9999999999999"),
    ):
        answer = await client.get(path, params=ask(**{name: value}))
        assert code(answer) == (400, "malformed_body"), (name, value)
        assert [one["field"] for one in answer.json()["errors"]] == [name]


async def test_a_time_turned_round_shows_nothing(path: str, as_: Client) -> None:
    asked = ask()
    turned = asked | {"since": asked["until"], "until": asked["since"]}
    answer = await as_("patient").get(path, params=turned)
    assert (answer.status_code, answer.json()["lines"]) == (200, [])
