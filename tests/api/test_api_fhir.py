"""Readings as FHIR over HTTP: page by page, for who may see the record; another library reads them."""

from datetime import UTC, datetime

import msgspec
from api_world import API, Client, World, code, reading
from fhir.resources.R4B.bundle import Bundle as Oracle

from devices.fhir.bundles import read_bundle
from devices.measurement import Measurement


async def test_readings_go_out_as_fhir_page_by_page_and_are_the_same_when_read(
    as_: Client, world: World
) -> None:
    """Each once, the newest first; the link leads on until there are no more."""
    path = f"{API}/persons/{world['patient']}/fhir/Observation"
    assert code(await as_().get(path)) == (401, "not_signed_in")
    for stranger in ("doctor_b", "doctor"):
        assert code(await as_(stranger).get(path)) == (404, "not_found")
    sent = [reading(number) for number in range(1, 6)]
    headers = {"Authorization": f"Bearer {world.device_tokens['patient:cuff']}"}
    stored = await as_().post(f"{API}/readings", json={"readings": sent}, headers=headers)
    assert stored.status_code == 201, stored.text
    patient, found, pages = as_("patient"), [], 0
    further: str | None = f"{path}?_count=2&kind=blood_pressure"
    while further:
        answer = await patient.get(further)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"].startswith("application/fhir+json")
        Oracle.model_validate_json(answer.content)
        entries = read_bundle(answer.content).entries
        assert 0 < len(entries) <= 2
        found += [one.found for one in entries]
        link = answer.json().get("link", [])
        further = link[0]["url"] if link else None
        pages += 1
    assert pages == 3
    expected = msgspec.convert(sent, list[Measurement])
    assert sorted(found, key=lambda one: one.sequence if one else 0) == expected


async def test_what_cannot_be_asked_of_it_is_refused(as_: Client, world: World) -> None:
    path = f"{API}/persons/{world['patient']}/fhir/Observation"
    for name, value in (("_count", 0), ("_count", 201), ("kind", "mood"), ("before", "today")):
        assert (await as_("patient").get(path, params={name: value})).status_code == 400
    before = datetime(2020, 1, 1, tzinfo=UTC).isoformat()
    none = await as_("patient").get(path, params={"before": before})
    assert (none.status_code, none.json().get("entry")) == (200, None)
