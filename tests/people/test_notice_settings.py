"""Where and when to be told: proved addresses, one's own browsers, one's own quiet."""

from base64 import urlsafe_b64encode
from datetime import datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from people import notice_settings
from people.notice_settings import (
    CODE_TRIES,
    AskedTooSoon,
    BadAddress,
    BadTime,
    Confirmation,
    NewAddress,
    NewBrowser,
    NoticeTarget,
    QuietChanges,
    Switch,
    WrongCode,
    add_browser,
    code_for,
    confirm,
    remove,
    set_address,
    set_quiet,
    switch,
    ways,
)
from people.notice_targets import NoticeTargets, NoticeWay, quiet_hours_of
from people.persons import Persons
from people.policy import Actor
from people.refused import NotFound
from people.relations import actor_of

KEY = b"k" * 32
ADDRESS = NewAddress("rinat@example.org")


@pytest.fixture
async def me(db: AsyncSession, patient: Persons, now: datetime) -> Actor:
    """The patient, who acts."""
    return await actor_of(db, patient.id, now)


@pytest.fixture
async def other(db: AsyncSession, doctor: Persons, now: datetime) -> Actor:
    """Somebody else."""
    return await actor_of(db, doctor.id, now)


async def _row(db: AsyncSession, target: NoticeTarget) -> NoticeTargets:
    row = await db.get(NoticeTargets, target.id)
    assert row is not None
    return row


async def _code(db: AsyncSession, target: NoticeTarget) -> Confirmation:
    return Confirmation(code_for(await _row(db, target), KEY))


def _browser(n: int = 0, point: bytes | None = None, auth: bytes = b"a" * 16) -> NewBrowser:
    if point is None:
        public = ec.generate_private_key(ec.SECP256R1()).public_key()
        point = public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    endpoint = f"https://push.example.org/send/{n}"
    return NewBrowser(endpoint, _b64(point), _b64(auth))


def _b64(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


async def test_an_address_is_used_once_its_owner_typed_the_code(
    db: AsyncSession, me: Actor, now: datetime
) -> None:
    target = await set_address(db, me, NoticeWay.MAIL, ADDRESS, now)
    assert (target.address, target.confirmed) == (ADDRESS.address, False)
    code = await _code(db, target)
    spaced = Confirmation(f" {code.code[:3]} {code.code[3:]} ")
    assert (await confirm(db, me, target.id, spaced, now, key=KEY)).confirmed
    assert (await ways(db, me, now)).targets[0].confirmed
    jobs = await db.scalar(
        text("SELECT count(*) FROM procrastinate_jobs WHERE task_name = :name"),
        {"name": notice_settings.SEND_CODE},
    )
    assert jobs == 1


async def test_a_wrong_a_late_and_a_sixth_code_prove_nothing(
    db: AsyncSession, me: Actor, now: datetime
) -> None:
    target = await set_address(db, me, NoticeWay.MAIL, ADDRESS, now)
    right = await _code(db, target)
    with pytest.raises(WrongCode):
        await confirm(db, me, target.id, right, now + timedelta(minutes=30), key=KEY)
    wrong = Confirmation(f"{(int(right.code) + 1) % 10**6:06}")
    for _ in range(CODE_TRIES - 1):
        with pytest.raises(WrongCode):
            await confirm(db, me, target.id, wrong, now, key=KEY)
    with pytest.raises(WrongCode):
        await confirm(db, me, target.id, right, now, key=KEY)
    assert WrongCode.keeps_writes


async def test_a_code_proves_its_own_address_and_asking_only(
    db: AsyncSession, me: Actor, now: datetime
) -> None:
    first = await set_address(db, me, NoticeWay.MAIL, ADDRESS, now)
    old = await _code(db, first)
    later = now + timedelta(minutes=2)
    second = await set_address(db, me, NoticeWay.MAIL, NewAddress("victim@example.org"), later)
    assert second.id == first.id
    with pytest.raises(WrongCode):
        await confirm(db, me, second.id, old, later, key=KEY)
    row = await _row(db, second)
    code = code_for(row, KEY)
    assert code != code_for(row, b"x" * 32)
    row.address = "rinat@example.org"
    assert code != code_for(row, KEY)


async def test_codes_are_not_asked_for_in_a_row_also_not_by_removing_the_address(
    db: AsyncSession, me: Actor, now: datetime
) -> None:
    target = await set_address(db, me, NoticeWay.MAIL, ADDRESS, now)
    await remove(db, me, target.id, now)
    assert (await ways(db, me, now)).targets == []
    with pytest.raises(AskedTooSoon) as caught:
        await set_address(db, me, NoticeWay.MAIL, ADDRESS, now + timedelta(seconds=90))
    assert caught.value.params == {"retry_after_s": 31}
    await set_address(db, me, NoticeWay.MAIL, ADDRESS, now + timedelta(seconds=120))


async def test_a_new_address_must_be_proved_anew(
    db: AsyncSession, me: Actor, now: datetime
) -> None:
    target = await set_address(db, me, NoticeWay.MAIL, ADDRESS, now)
    await confirm(db, me, target.id, await _code(db, target), now, key=KEY)
    later = now + timedelta(minutes=3)
    changed = await set_address(db, me, NoticeWay.MAIL, NewAddress("new@example.org"), later)
    assert not changed.confirmed


async def test_what_is_another_persons_is_not_there(
    db: AsyncSession, me: Actor, other: Actor, now: datetime
) -> None:
    target = await set_address(db, me, NoticeWay.MAIL, ADDRESS, now)
    code = await _code(db, target)
    with pytest.raises(NotFound):
        await confirm(db, other, target.id, code, now, key=KEY)
    with pytest.raises(NotFound):
        await switch(db, other, target.id, Switch(active=False), now)
    with pytest.raises(NotFound):
        await remove(db, other, target.id, now)
    assert (await ways(db, other, now)).targets == []
    assert (await switch(db, me, target.id, Switch(active=False), now)).active is False


@pytest.mark.parametrize(
    "address",
    [
        "",
        "rinat",
        "rinat@",
        "@example.org",
        "a@b@example.org",
        "rinat@example",
        "rinat@example.org\nBcc: all@example.org",
        "rinat@example.org, all@example.org",
        '"x y"@example.org',
        "a..b@example.org",
        f"{'a' * 65}@example.org",
        f"a@{'b.' * 130}org",
        "ринат@пример.рф",
    ],
)
async def test_what_is_no_mail_address_is_refused(
    db: AsyncSession, me: Actor, now: datetime, address: str
) -> None:
    with pytest.raises(BadAddress) as caught:
        await set_address(db, me, NoticeWay.MAIL, NewAddress(address), now)
    assert [error.field for error in caught.value.errors] == ["address"]


@pytest.mark.parametrize(
    "number", ["", "112", "89171234567", "+0123456789", "+7917", "+7917x234567"]
)
async def test_what_is_no_number_with_its_country_is_refused(
    db: AsyncSession, me: Actor, now: datetime, number: str
) -> None:
    with pytest.raises(BadAddress):
        await set_address(db, me, NoticeWay.SMS, NewAddress(number), now)


async def test_a_number_is_kept_without_its_ornaments(
    db: AsyncSession, me: Actor, now: datetime
) -> None:
    target = await set_address(db, me, NoticeWay.SMS, NewAddress("+7 (917) 123-45-67"), now)
    assert target.address == "+79171234567"


async def test_a_browser_is_used_at_once_and_shown_by_its_service_only(
    db: AsyncSession, me: Actor, now: datetime
) -> None:
    target = await add_browser(db, me, _browser(), now)
    assert (target.address, target.confirmed, target.active) == ("push.example.org", True, True)
    again = await add_browser(db, me, _browser(), now + timedelta(days=1))
    assert (again.id, len((await ways(db, me, now)).targets)) == (target.id, 1)
    await remove(db, me, target.id, now)
    assert await db.scalar(select(NoticeTargets)) is None


async def test_a_browser_changes_hands_with_who_sits_at_it(
    db: AsyncSession, me: Actor, other: Actor, now: datetime
) -> None:
    await add_browser(db, me, _browser(), now)
    await add_browser(db, other, _browser(), now)
    assert (await ways(db, me, now)).targets == []
    assert len((await ways(db, other, now)).targets) == 1


async def test_of_many_browsers_the_oldest_go(db: AsyncSession, me: Actor, now: datetime) -> None:
    made = [
        await add_browser(db, me, _browser(n), now + timedelta(minutes=n))
        for n in range(notice_settings.BROWSERS + 2)
    ]
    kept = {target.id for target in (await ways(db, me, now)).targets}
    assert kept == {target.id for target in made[2:]}


@pytest.mark.parametrize(
    "endpoint",
    [
        "",
        "http://push.example.org/x",
        "https://push.example.org:8443/x",
        "https://user:pw@push.example.org/x",
        "https:///x",
        "https://push.example.org/x#y",
        "https://push.example.org/x y",
        "https://push.example.org/\r\nX: y",
        "https://push.example.org:abc/",
        "https://[::1/",
        f"https://push.example.org/{'x' * 1000}",
        "file:///etc/passwd",
    ],
)
async def test_a_push_address_is_https_on_its_usual_port_and_nothing_else(
    db: AsyncSession, me: Actor, now: datetime, endpoint: str
) -> None:
    new = _browser()
    with pytest.raises(BadAddress) as caught:
        await add_browser(db, me, NewBrowser(endpoint, new.p256dh, new.auth), now)
    assert [error.field for error in caught.value.errors] == ["endpoint"]


@pytest.mark.parametrize(
    ("browser", "field"),
    [
        (_browser(point=b"\x04" + b"\x01" * 64), "p256dh"),  # on no curve
        (_browser(point=b"\x04" + b"\x01" * 10), "p256dh"),
        (_browser(auth=b"short"), "auth"),
        (NewBrowser("https://push.example.org/", "ключ", _b64(b"a" * 16)), "p256dh"),
    ],
)
async def test_keys_that_nothing_could_be_sealed_with_are_refused(
    db: AsyncSession, me: Actor, now: datetime, browser: NewBrowser, field: str
) -> None:
    with pytest.raises(BadAddress) as caught:
        await add_browser(db, me, browser, now)
    assert [error.field for error in caught.value.errors] == [field]


async def test_quiet_hours_are_the_usual_night_until_they_are_chosen(
    db: AsyncSession, me: Actor, patient: Persons, now: datetime
) -> None:
    usual = await ways(db, me, now)
    assert (usual.quiet_from, usual.quiet_until, usual.timezone) == (
        "22:00",
        "07:00",
        "Europe/Moscow",
    )
    for zone in ("Asia/Kamchatka", None):
        chosen = await set_quiet(db, me, QuietChanges("23:30", "06:05", zone), now)
        assert (chosen.quiet_from, chosen.quiet_until) == ("23:30", "06:05")
        assert chosen.timezone == (zone or "Europe/Moscow")
    hours = await quiet_hours_of(db, patient.id, now)
    assert (hours.from_minute, hours.until_minute) == (23 * 60 + 30, 6 * 60 + 5)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        (QuietChanges("24:00", "07:00"), "quiet_from"),
        (QuietChanges("22:00", "7:00"), "quiet_until"),
        (QuietChanges("22:00", "07:00", "Nowhere/City"), "timezone"),
        (QuietChanges("22:00", "07:00", "../etc/passwd"), "timezone"),
    ],
)
async def test_what_is_no_time_or_zone_is_refused_by_its_field(
    db: AsyncSession, me: Actor, now: datetime, changes: QuietChanges, field: str
) -> None:
    with pytest.raises(BadTime) as caught:
        await set_quiet(db, me, changes, now)
    assert [error.field for error in caught.value.errors] == [field]
