"""Letters that leave: to whom, in which language, how often, and that they say nothing."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session
from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from people import notice_ways
from people.notice_settings import code_for
from people.notice_targets import NoticeTargets, NoticeWay
from people.notice_ways import Drawer, Letter, Smtp, carrier, deliver, offers, send_code
from people.notices import DELIVER, notify, read_all
from people.organisations import Organisations
from people.persons import Persons
from people.policy import Kind, Right
from people.relations import actor_of, grant
from people.sentences import CATALOGUES, NoSentence, plural_form, sentence
from storage.db_errors import is_away
from storage.dead_letters import JobFailed, list_letters, try_again
from storage.engine import new_id, sessions
from storage.jobs import Work, run_worker
from storage.objects import Objects
from storage.secrets import secret
from storage.settings import Settings, SmtpPlace

MIDNIGHT = datetime(2026, 3, 2, 21, tzinfo=UTC)
DIAGNOSIS = "гипертония"


class Inbox:
    """A mail server's memory; `refuses` makes it a server that takes nothing."""

    def __init__(self) -> None:
        self.letters: list[EmailMessage] = []
        self.refuses = False

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.refuses:
            return "554 no"
        assert isinstance(envelope.content, bytes)
        self.letters.append(message_from_bytes(envelope.content, policy=policy.default))
        return "250 OK"


@pytest.fixture
async def inbox() -> AsyncIterator[tuple[Inbox, SmtpPlace]]:
    """A mail server on loopback."""
    inbox = Inbox()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(inbox, hostname="test"), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    yield inbox, SmtpPlace("127.0.0.1", port, "offered", None, None, "")
    server.close()
    await server.wait_closed()


@pytest.fixture
def work(
    db: AsyncSession, objects: Objects, stores: Settings, inbox: tuple[Inbox, SmtpPlace]
) -> Work:
    """A job's surroundings at noon, with the mail server set."""
    settings = replace(stores, smtp=inbox[1], mail_from="house@example.org")
    return Work(db, objects, settings, MIDNIGHT - timedelta(hours=9))


async def _target(
    db: AsyncSession, person: Persons, now: datetime, **changes: Any
) -> NoticeTargets:
    values = {
        "way": NoticeWay.MAIL.value,
        "address": "r@example.org",
        "confirmed_at": now,
        **changes,
    }
    row = NoticeTargets(id=new_id(), person_id=person.id, made_at=now, asked_at=now, **values)
    db.add(row)
    await db.flush()
    return row


async def test_a_letter_says_that_something_waits_and_nothing_else(
    work: Work, inbox: tuple[Inbox, SmtpPlace], patient: Persons
) -> None:
    target = await _target(work.db, patient, work.now)
    await notify(work.db, patient.id, "one", {"what": DIAGNOSIS}, work.now)
    await deliver(work, str(target.id), critical=False)
    (letter,) = inbox[0].letters
    assert (letter["To"], letter["From"]) == ("r@example.org", "house@example.org")
    assert (letter["Subject"], letter["Content-Language"]) == (
        sentence("ru", "notices.mail_subject", {"count": 1}),
        "ru",
    )
    assert letter["Auto-Submitted"] == "auto-generated"
    body = letter.get_content()
    assert f"{work.settings.urls[0]}/#/notices" in body
    for word in (DIAGNOSIS, patient.given_name, patient.family_name, "{"):
        assert word not in body + letter["Subject"]
    assert target.told_at == work.now


@pytest.mark.parametrize("language", ["ru", "tt", "en"])
async def test_a_letter_is_in_its_readers_language(
    work: Work, inbox: tuple[Inbox, SmtpPlace], patient: Persons, language: str
) -> None:
    patient.language = language
    target = await _target(work.db, patient, work.now)
    for _ in range(5):
        await notify(work.db, patient.id, "one", {}, work.now)
    await deliver(work, str(target.id), critical=False)
    (letter,) = inbox[0].letters
    expected = {
        "ru": "Янәшә: вас ждут 5 уведомлений",
        "tt": "Янәшә: сезне 5 белдерү көтә",
        "en": "Yanasha: 5 notices are waiting for you",
    }
    assert letter["Subject"] == expected[language]


async def test_a_job_that_runs_twice_tells_once(
    work: Work, inbox: tuple[Inbox, SmtpPlace], patient: Persons
) -> None:
    target = await _target(work.db, patient, work.now)
    await notify(work.db, patient.id, "one", {}, work.now)
    for _ in range(2):
        await deliver(work, str(target.id), critical=False)
    assert len(inbox[0].letters) == 1


async def test_what_was_read_meanwhile_is_not_told(
    work: Work, inbox: tuple[Inbox, SmtpPlace], patient: Persons
) -> None:
    target = await _target(work.db, patient, work.now)
    await notify(work.db, patient.id, "one", {}, work.now)
    await read_all(work.db, await actor_of(work.db, patient.id, work.now), work.now, work.now)
    await deliver(work, str(target.id), critical=False)
    assert inbox[0].letters == []


async def test_what_waits_is_told_after_something_critical_was(
    work: Work, inbox: tuple[Inbox, SmtpPlace], patient: Persons
) -> None:
    """A critical letter speaks of what is critical; the rest keeps its turn."""
    target = await _target(work.db, patient, work.now)
    await notify(work.db, patient.id, "one", {}, work.now - timedelta(minutes=1))
    await notify(work.db, patient.id, "two", {}, work.now, critical=True)
    await deliver(work, str(target.id), critical=True)
    for _ in range(2):
        await deliver(work, str(target.id), critical=False)
    assert [one["Subject"] for one in inbox[0].letters] == [
        sentence("ru", "notices.mail_critical"),
        sentence("ru", "notices.mail_subject", {"count": 1}),
    ]


async def test_a_notice_that_was_long_on_its_way_is_told_like_any_other(
    work: Work, inbox: tuple[Inbox, SmtpPlace], patient: Persons
) -> None:
    """Its transaction began before what was told and ended after it."""
    target = await _target(work.db, patient, work.now)
    await notify(work.db, patient.id, "one", {}, work.now)
    await deliver(work, str(target.id), critical=False)
    await notify(work.db, patient.id, "slow", {}, work.now - timedelta(seconds=5))
    await deliver(work, str(target.id), critical=False)
    assert len(inbox[0].letters) == 2


@pytest.mark.parametrize("refuses", [False, True])
async def test_a_mail_server_that_is_away_or_refuses_is_no_store_that_is_away(
    work: Work, inbox: tuple[Inbox, SmtpPlace], *, refuses: bool
) -> None:
    """Its letter is tried so many times, and then a human sees it."""
    inbox[0].refuses = refuses
    nowhere = SmtpPlace("127.0.0.1", 1, "offered", None, None, "")
    settings = replace(work.settings, smtp=inbox[1] if refuses else nowhere)
    with pytest.raises(JobFailed) as failed:
        await Smtp(settings).carry(Letter("r@example.org", "ru", "x", "x"))
    assert failed.value.code == ("mail_refused" if refuses else "mail_away")
    assert not is_away(failed.value)


@pytest.mark.parametrize("changes", [{"active": False}, {"confirmed_at": None}])
async def test_a_way_switched_off_meanwhile_is_silent(
    work: Work, inbox: tuple[Inbox, SmtpPlace], patient: Persons, changes: dict[str, Any]
) -> None:
    target = await _target(work.db, patient, work.now)
    await notify(work.db, patient.id, "one", {}, work.now)
    await work.db.execute(update(NoticeTargets).values(**changes))
    await deliver(work, str(target.id), critical=False)
    assert inbox[0].letters == []


async def test_a_job_that_wakes_in_the_night_waits_for_the_morning_but_not_the_critical(
    work: Work, inbox: tuple[Inbox, SmtpPlace], patient: Persons
) -> None:
    night = replace(work, now=MIDNIGHT)
    target = await _target(work.db, patient, work.now)
    await notify(work.db, patient.id, "one", {}, work.now)
    await work.db.execute(text("DELETE FROM procrastinate_jobs"))
    await deliver(night, str(target.id), critical=False)
    query = text("SELECT scheduled_at FROM procrastinate_jobs WHERE task_name = :name")
    found = (await work.db.execute(query, {"name": DELIVER})).scalars().all()
    assert (inbox[0].letters, found) == ([], [datetime(2026, 3, 3, 4, tzinfo=UTC)])
    await deliver(night, str(target.id), critical=True)
    assert inbox[0].letters == []  # nothing critical waits
    await notify(work.db, patient.id, "two", {}, MIDNIGHT, critical=True)
    await deliver(night, str(target.id), critical=True)
    assert [one["Subject"] for one in inbox[0].letters] == [sentence("ru", "notices.mail_critical")]


async def test_a_code_goes_to_the_address_it_proves_and_to_no_proved_or_late_one(
    work: Work, inbox: tuple[Inbox, SmtpPlace], patient: Persons
) -> None:
    target = await _target(work.db, patient, work.now, confirmed_at=None)
    late = replace(work, now=work.now + timedelta(minutes=30))
    await send_code(late, str(target.id))
    assert inbox[0].letters == []
    await send_code(work, str(target.id))
    (letter,) = inbox[0].letters
    assert code_for(target, secret(work.settings.home, "notice-codes")) in letter.get_content()
    target.confirmed_at = work.now
    await work.db.flush()
    await send_code(work, str(target.id))
    assert len(inbox[0].letters) == 1


async def test_without_a_carrier_texts_lie_in_a_private_drawer_that_does_not_grow(
    work: Work, patient: Persons, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    settings = replace(work.settings, smtp=None, home=tmp_path)
    assert isinstance(carrier(NoticeWay.MAIL, settings), Drawer)
    assert isinstance(carrier(NoticeWay.SMS, work.settings), Drawer)
    assert isinstance(carrier(NoticeWay.MAIL, work.settings), Smtp)
    assert (offers(settings).mail, offers(work.settings).mail) == (False, True)
    monkeypatch.setattr(notice_ways, "KEPT", 2)
    target = await _target(
        work.db, patient, work.now, way=NoticeWay.SMS.value, address="+79990000000"
    )
    for minute in range(3):
        now = work.now + timedelta(minutes=minute)
        await notify(work.db, patient.id, "one", {}, now)
        await deliver(replace(work, settings=settings, now=now), str(target.id), critical=False)
    folder = tmp_path / "outgoing"
    files = sorted(folder.iterdir())
    assert (len(files), folder.stat().st_mode & 0o777) == (2, 0o700)
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    assert "To: +79990000000\n" in files[0].read_text()


async def test_a_letter_nobody_takes_becomes_a_dead_letter_and_goes_when_tried_again(
    engine: AsyncEngine, settings: Settings, inbox: tuple[Inbox, SmtpPlace]
) -> None:
    """Through the real job runner: the record and its job in one commit, ten failures, a human."""
    now, new_session = datetime.now(UTC), sessions(engine)
    settings = replace(settings, smtp=inbox[1])
    async with new_session() as db, db.begin():
        clinic = Organisations(id=new_id(), kind="clinic", name="Поликлиника")
        person = Persons(id=new_id(), family_name="Х", given_name="Р", created_at=now)
        db.add_all([clinic, person])
        await db.flush()
        kind = Kind.ATTACHMENT
        right = Right(actor_id=person.id, kind=kind, organisation_id=clinic.id, since=now)
        await grant(db, right, "test")
        await _target(db, person, now)
        await notify(db, person.id, "one", {"what": DIAGNOSIS}, now, critical=True)
        await db.execute(text("UPDATE procrastinate_jobs SET attempts = 9"))
    inbox[0].refuses = True
    await run_worker(settings, wait=False)
    async with new_session() as db, db.begin():
        (letter,) = await list_letters(db, clinic.id)
        assert (letter.name, letter.attempts, letter.code) == (DELIVER, 10, "mail_refused")
        assert letter.own
        assert letter.last_at is not None
        assert letter.first_at == letter.last_at >= now
        assert DIAGNOSIS not in repr(letter)
        assert await list_letters(db, new_id()) == []
        assert await try_again(db, new_id(), letter.id) is None
        assert await try_again(db, clinic.id, letter.id) == DELIVER
        assert await try_again(db, clinic.id, letter.id) is None
    inbox[0].refuses = False
    await run_worker(settings, wait=False)
    assert len(inbox[0].letters) == 1
    async with new_session() as db:
        told = await db.scalar(select(func.count()).where(NoticeTargets.told_at.is_not(None)))
        assert (told, await list_letters(db, clinic.id)) == (1, [])


def test_a_sentence_fills_its_parameters_and_an_unknown_one_is_a_mistake_of_ours() -> None:
    assert sentence("en", "notices.mail_code_text", {"code": "1", "minutes": 5}).count("1") == 1
    assert sentence("xx", "notices.title") == sentence("ru", "notices.title")
    with pytest.raises(NoSentence):
        sentence("ru", "notices.nothing_like_it")
    with pytest.raises(NoSentence):
        sentence("ru", "../../secrets.title")
    assert CATALOGUES.is_dir()


@pytest.mark.parametrize(
    ("count", "form"),
    [(0, "many"), (1, "one"), (2, "few"), (5, "many"), (11, "many"), (12, "many"), (21, "one")],
)
def test_russian_has_three_forms_for_whole_numbers(count: int, form: str) -> None:
    assert plural_form("ru", count) == form
    assert plural_form("tt", count) == "other"
    assert plural_form("en", count) == ("one" if count == 1 else "other")
