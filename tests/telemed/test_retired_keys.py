"""`yanasha keys retire`: a new key to sign with, and what becomes of what the old one signed."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from ops.children import Cannot
from ops.keys import moment, retire_in
from ops.verify import verify_file
from people import document_checks
from people.audit import AuditActs
from people.document_checks import CheckState
from people.document_contents import Audience, Conclusion
from people.document_files import Form, own_file
from people.document_lists import of_person
from people.document_register import register
from people.document_signing import Revocation, revoke
from people.notices import Notices
from people.organisation_keys import PublicKey, public_keys, seed_of
from people.organisations import Organisations
from storage import signing
from storage.engine import sessions
from storage.objects import Objects
from storage.settings import Settings
from tests.telemed.clinic_house import NOW, House, furnish
from tests.telemed.document_desk import caller, print_all, signed

HEALTHY = Conclusion(text="Здоров.")
NETWORK = "192.0.2.0/24"
HOUR = timedelta(hours=1)


async def _keys(db: AsyncSession) -> dict[str, PublicKey]:
    return {one.id: one for one in await public_keys(db)}


async def _state(db: AsyncSession, line: str, now: datetime) -> CheckState:
    return (await document_checks.check_line(db, line, NETWORK, now)).state


async def test_what_a_retired_key_signed_stays_genuine_and_the_next_is_signed_by_another(
    db: AsyncSession, house: House, now: datetime, settings: Settings
) -> None:
    """Whose key it is, is said by the organisation's name or id; the deed is in the audit."""
    with pytest.raises(Cannot, match="signed nothing yet"):
        await retire_in(db, settings, str(house.clinic), now)
    old = await signed(db, house, settings, now, HEALTHY)
    (first,) = await _keys(db)
    place = await db.get_one(Organisations, house.clinic)
    place.name = "Поликлиника № 7"
    said = await retire_in(db, settings, " поликлиника № 7 ", now + HOUR)
    assert "verifies as before" in said[-1]
    new = await signed(db, house, settings, now + 2 * HOUR, HEALTHY)
    keys = await _keys(db)
    assert keys[first].retired_at == now + HOUR
    assert keys[first].pem == signing.pem(signing.unb64(keys[first].public))
    (second,) = set(keys) - {first}
    for document, key in ((old, first), (new, second)):
        line = document.views[0].line
        public = signing.unb64(keys[key].public)
        assert signing.verify_line([public], line).key == key
        assert await _state(db, line, now) is CheckState.GENUINE
    acts = select(AuditActs.actor_id, AuditActs.organisation_id).where(
        AuditActs.act == "signing_key_retired"
    )
    assert (await db.execute(acts)).all() == [(None, house.clinic)]


async def test_what_a_stolen_key_may_have_signed_is_not_to_be_trusted(
    db: AsyncSession, house: House, now: datetime, settings: Settings, objects: Objects
) -> None:
    """By line, signed JSON and print; what the register has from before is genuine as it was."""
    before = await signed(db, house, settings, now, HEALTHY)
    after = await signed(db, house, settings, now + 2 * HOUR, HEALTHY)
    gone = await signed(db, house, settings, now + 2 * HOUR, HEALTHY)
    doctor = await caller(db, house, house.doctor, now + 2 * HOUR)
    await revoke(db, doctor, gone.id, Revocation("Ошибка в датах"), now + 2 * HOUR)
    stolen = await seed_of(db, settings.home, house.clinic, now)
    (key,) = await _keys(db)
    for document in (before, after):
        await print_all(db, objects, settings, document, now + 2 * HOUR)
    # First only retired: the theft came to light the day after.
    await retire_in(db, settings, str(house.clinic), now + 3 * HOUR)
    said = await retire_in(
        db, settings, str(house.clinic), now + 4 * HOUR, key=key, since=now + HOUR
    )
    assert "held until now: 1;" in "\n".join(said)
    told = select(Notices.person_id, Notices.params).where(Notices.code == "documents_untrusted")
    assert (await db.execute(told)).all() == [(house.doctor, {"count": 1})]
    since = (await _keys(db))[key].compromised_since
    assert since == now + HOUR
    assert len(await _keys(db)) == 2  # one that was retired already is followed by no third
    patient = await house.as_(db, house.patient)
    doubted = {before.id: False, after.id: True, gone.id: False}
    mine = (await of_person(db, patient, house.patient, now)).documents
    assert {one.id: one.untrusted for one in mine} == doubted
    head = await house.as_(db, house.administrator)
    issued = (await register(db, head, house.clinic, now)).documents
    assert {one.id: one.untrusted for one in issued} == doubted
    assert {one.state.value for one in issued} == {"signed", "revoked"}
    for document, state in (
        (before, CheckState.GENUINE),
        (after, CheckState.UNTRUSTED),
        (gone, CheckState.REVOKED),
    ):
        assert await _state(db, document.views[0].line, now) is state
        wanted: tuple[Audience, Form] = (Audience.FULL, "json")
        json = (await own_file(db, objects, patient, document.id, wanted, now=now)).content
        found = await document_checks.check_file(db, json, NETWORK, now)
        assert (found.state, found.number) == (state, document.number)
    for document, state in ((before, CheckState.GENUINE), (after, CheckState.UNTRUSTED)):
        pdf = await own_file(db, objects, patient, document.id, (Audience.FULL, "pdf"), now=now)
        assert (await document_checks.check_file(db, pdf.content, NETWORK, now)).state is state
    # The thief dates it back, but no register knows it.
    forged = signing.line(stolen, {"c": "x", "d": "2026-01-01", "k": "conclusion", "n": "1"})
    found = await document_checks.check_line(db, forged, NETWORK, now)
    assert found == document_checks.Checked(state=CheckState.UNTRUSTED)
    fresh = await signed(db, house, settings, now + 5 * HOUR, HEALTHY)
    assert await _state(db, fresh.views[0].line, now) is CheckState.GENUINE


async def test_no_key_is_retired_while_a_document_is_signed_with_it(
    engine: AsyncEngine, settings: Settings
) -> None:
    """Or its doctor would not be told that it is to be signed anew."""
    new_session = sessions(engine)
    async with new_session() as db, db.begin():
        house = await furnish(db)
        await signed(db, house, settings, NOW, HEALTHY)
    async with new_session() as db, db.begin(), new_session() as other:
        await signed(db, house, settings, NOW, HEALTHY)
        await other.execute(text("SET LOCAL lock_timeout = '50ms'"))
        with pytest.raises(OperationalError, match="lock timeout"):
            await retire_in(other, settings, str(house.clinic), NOW)


async def test_a_later_word_makes_no_theft_younger(
    db: AsyncSession, house: House, now: datetime, settings: Settings
) -> None:
    """What was not to be trusted once is not trusted again by a second command."""
    await signed(db, house, settings, now, HEALTHY)
    (key,) = await _keys(db)
    for since in (now + 2 * HOUR, now + HOUR, now + 3 * HOUR):
        await retire_in(db, settings, str(house.clinic), now + 4 * HOUR, key=key, since=since)
    assert (await _keys(db))[key].compromised_since == now + HOUR


async def test_offline_a_key_that_was_handed_out_anew_says_that_it_is_not_to_be_trusted(
    tmp_path: Path, now: datetime, capsys: pytest.CaptureFixture[str]
) -> None:
    """The one that was handed out before cannot know; another key beside it is none the worse."""
    stolen, sound = bytes(range(32)), bytes(32)
    told = signing.pem(signing.public_of(stolen), now) + signing.pem(signing.public_of(sound))
    (tmp_path / "new.pem").write_text(told)
    (tmp_path / "edited.pem").write_text("\ufeff " + told.replace(": ", ":").replace("C", "c", 1))
    (tmp_path / "old.pem").write_text(signing.pem(signing.public_of(stolen)))
    paper = tmp_path / "paper"
    for seed, key, code, word in (
        (stolen, "old", 0, "GENUINE"),
        (stolen, "new", 1, "NOT TO BE TRUSTED"),
        (stolen, "edited", 1, "NOT TO BE TRUSTED"),
        (sound, "new", 0, "GENUINE"),
    ):
        for content in (
            signing.encode(signing.sign(seed, {"number": "2026-000007"})),
            signing.line(seed, {"c": "x"}).encode(),
        ):
            paper.write_bytes(content)
            assert verify_file(paper, tmp_path / f"{key}.pem") == code
            assert capsys.readouterr().out.startswith(word)


async def test_what_cannot_be_meant_is_refused_in_a_sentence(
    db: AsyncSession, house: House, now: datetime, settings: Settings
) -> None:
    """No such organisation, no such key, no time, none in a zone, none that was."""
    await signed(db, house, settings, now, HEALTHY)
    for name, key in (("Нет такой", None), (str(house.other_clinic), None), (None, "0" * 16)):
        with pytest.raises(Cannot):
            await retire_in(db, settings, name or str(house.clinic), now, key=key)
    for said in ("yesterday", "2026-03-02T14:00", "2126-03-02T14:00+03:00"):
        with pytest.raises(Cannot):
            moment(said, now)
    assert [one.retired_at for one in await public_keys(db)] == [None]
