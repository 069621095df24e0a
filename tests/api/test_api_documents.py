"""Documents over HTTP: who is asked away, and what is wrong with what was sent, by its field."""

from pathlib import Path

import pytest
from api_world import API, Client, World, code
from litestar import Litestar

from api.house import House
from people.document_outside import Outside
from storage.outside_signer import OutsideSigner
from storage.pdf_outside import SigningService
from tests.telemed.signing_service import Authority

GOOD = {"content": {"kind": "conclusion", "text": "Жалоб нет"}}


async def test_only_the_doctor_of_a_visit_drafts_and_alone_sees_the_draft(
    as_: Client, world: World
) -> None:
    """Nobody, a stranger, the patient, the doctor."""
    url = f"{API}/visits/{world['visit']}/documents"
    assert code(await as_().post(url, json=GOOD)) == (401, "not_signed_in")
    assert code(await as_("patient2").post(url, json=GOOD)) == (404, "not_found")
    assert code(await as_("patient").post(url, json=GOOD)) == (403, "forbidden")
    made = await as_("doctor").post(url, json=GOOD)
    assert made.status_code == 201, made.text
    one = f"{API}/documents/{made.json()['id']}"
    assert code(await as_("patient").get(one)) == (404, "not_found")
    assert (await as_("doctor").get(one)).json()["content"]["text"] == "Жалоб нет"
    assert (await as_("doctor").get(f"{one}/file?audience=full&form=exe")).status_code == 400


@pytest.mark.parametrize(
    ("content", "status", "field"),
    [
        ({"kind": "recipe"}, 400, "content.kind"),
        ({"kind": "conclusion", "icd10": "J06.9; DROP"}, 400, "content.icd10"),
        ({"kind": "conclusion", "text": "я" * 6001}, 400, "content.text"),
        ({"kind": "certificate", "absent_from": "вчера"}, 400, "content.absent_from"),
        ({"kind": "conclusion", "text": "\u202eтекст"}, 422, "content.text"),
    ],
)
async def test_a_bad_draft_is_refused_by_its_field(
    as_: Client, world: World, content: dict[str, str], status: int, field: str
) -> None:
    """Nothing of it is kept."""
    url = f"{API}/visits/{world['visit']}/documents"
    answer = await as_("doctor").post(url, json={"content": content})
    assert (answer.status_code, [one["field"] for one in answer.json()["errors"]]) == (
        status,
        [field],
    )
    assert (await as_("doctor").get(url)).json() == []


async def test_register_and_office_are_paged_for_their_desks_alone(
    as_: Client, world: World
) -> None:
    """Nobody, a stranger, others of the place, its administrator; and a place that is none."""
    issued = f"{API}/organisations/{world['clinic']}/documents/issued"
    office = f"{API}/organisations/{world['school']}/documents"
    for url, here, desk in (
        (issued, "doctor", "clinic_admin"),
        (office, "teacher", "school_admin"),
    ):
        assert code(await as_().get(url)) == (401, "not_signed_in")
        assert code(await as_("admin_b").get(url)) == (404, "not_found")
        assert code(await as_(here).get(url)) == (403, "forbidden")
        page = await as_(desk).get(url)
        assert (page.status_code, page.json()) == (200, {"documents": [], "more": False})
        assert (await as_(desk).get(f"{url}?before=yesterday")).status_code == 400
        assert code(await as_(desk).get(f"{url}?before={world['visit']}")) == (404, "not_found")


async def test_a_signature_service_that_is_away_leaves_a_draft_that_is_signed_later(
    app: Litestar, as_: Client, world: World, tmp_path: Path
) -> None:
    """503 with a time to wait; the transaction of the request keeps nothing of it."""
    house: House = app.state.house
    (tmp_path / "ca.pem").write_bytes(Authority("A").pem)
    away = OutsideSigner("http://127.0.0.1:9/", tmp_path / "ca.pem")
    url = f"{API}/visits/{world['visit']}/documents"
    made = (await as_("doctor").post(url, json=GOOD)).json()
    one = f"{API}/documents/{made['id']}"
    house.outside = Outside(SigningService(away), "https://house.example")
    refused = await as_("doctor").post(f"{one}/sign", json={"changes": 1})
    assert code(refused) == (503, "signer_away")
    assert refused.headers["Retry-After"] == "10"
    assert (await as_("doctor").get(one)).json()["state"] == "draft"
    house.outside = None
    signed = await as_("doctor").post(f"{one}/sign", json={"changes": 1})
    assert signed.json()["number"].endswith("-000001")
