"""Documents over HTTP: who is asked away, and what is wrong with what was sent, by its field."""

import pytest
from api_world import API, Client, World, code

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
