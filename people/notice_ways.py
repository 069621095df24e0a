"""The ways outside: mail, SMS, push. Each says that something waits, never what.

A letter lies open in many places between us and its reader, and a phone shows a push to whoever
holds it: so neither names a person, an illness, a lesson or a mark. A way that has no carrier
(no mail server is set, no SMS gateway exists) puts its texts into a drawer of the installation.
"""

import asyncio
import logging
import os
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from pathlib import Path
from typing import Protocol
from uuid import UUID

import aiosmtplib
import msgspec
from sqlalchemy import exists, select

from people import web_push
from people.notice_settings import CODE_LIVES, SEND_CODE, code_for
from people.notice_targets import NoticesTold, NoticeTargets, NoticeWay, quiet_hours_of
from people.notices import DELIVER, Notices, organisations_of
from people.persons import Persons
from people.sentences import sentence
from storage.dead_letters import JobFailed
from storage.engine import insert_many, new_id
from storage.jobs import Work, enqueue, job
from storage.secrets import secret
from storage.settings import Settings

SMTP_TIMEOUT_S = 20.0
KEPT = 200  # texts in a drawer, the oldest go first
log = logging.getLogger(__name__)


class MailAway(JobFailed):
    """The mail server cannot be reached. No store of ours: its letters are not tried for ever."""

    code = "mail_away"


class MailRefused(JobFailed):
    """The mail server does not take the letter, or not from us."""

    code = "mail_refused"


class Letter(msgspec.Struct, frozen=True):
    """A text on its way out, in its reader's language."""

    to: str
    language: str
    subject: str
    text: str


class Carrier(Protocol):
    """Takes letters to the world; raises when it could not."""

    async def carry(self, letter: Letter) -> None:
        """Take one letter to its reader."""


class Smtp:
    """Mail by the server of YANASHA_SMTP_URL."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    async def carry(self, letter: Letter) -> None:
        """Hand the letter to the mail server, over TLS unless it is this machine's own.

        Raises MailAway, MailRefused.
        """
        place = self.settings.smtp
        if place is None:
            raise RuntimeError("no mail server is set")
        try:
            await aiosmtplib.send(
                self.message(letter),
                hostname=place.host,
                port=place.port,
                username=place.username,
                password=place.password,
                use_tls=place.tls == "implicit",
                start_tls={"implicit": False, "starttls": True}.get(place.tls),
                timeout=SMTP_TIMEOUT_S,
            )
        except OSError as error:  # the library's own losses and waits are of these
            raise MailAway from error
        except aiosmtplib.SMTPException as error:
            raise MailRefused from error

    def message(self, letter: Letter) -> EmailMessage:
        """Give the letter as mail: plain text, marked as written by a program (RFC 3834)."""
        message = EmailMessage()
        message["From"] = self.settings.mail_from
        message["To"] = letter.to
        message["Subject"] = letter.subject
        message["Date"] = format_datetime(datetime.now(UTC))
        message["Message-ID"] = make_msgid(domain=self.settings.mail_from.rpartition("@")[2])
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(letter.text)
        message["Content-Language"] = letter.language  # set_content drops what it did not set
        return message


class Drawer:
    """Keeps texts in `home/outgoing`, for the operator of an installation without a carrier."""

    def __init__(self, home: Path, way: NoticeWay) -> None:
        self.folder = home / "outgoing"
        self.way = way

    async def carry(self, letter: Letter) -> None:
        """Put the text into a file that only the installation's own user reads."""
        await asyncio.to_thread(self._write, letter)
        log.warning("a text has no carrier and lies in the folder outgoing")

    def _write(self, letter: Letter) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self.folder / f"{new_id()}.{self.way}.txt"
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(f"To: {letter.to}\nSubject: {letter.subject}\n\n{letter.text}")
        for old in sorted(self.folder.glob(f"*.{self.way}.txt"))[:-KEPT]:
            old.unlink(missing_ok=True)


class NoticeOffers(msgspec.Struct, frozen=True):
    """Which ways really leave this installation, and the key a browser needs for push."""

    mail: bool
    sms: bool
    push_key: str


def offers(settings: Settings) -> NoticeOffers:
    """Give what this installation can carry."""
    return NoticeOffers(
        mail=settings.smtp is not None, sms=False, push_key=web_push.public_key(settings.home)
    )


def carrier(way: NoticeWay, settings: Settings) -> Carrier:
    """Give who carries a way. SMS: a gateway takes its place here; none is known yet."""
    if way is NoticeWay.MAIL and settings.smtp is not None:
        return Smtp(settings)
    return Drawer(settings.home, way)


@job(DELIVER)
async def deliver(work: Work, target_id: str, critical: bool) -> None:
    """Tell by one way that something waits: once for all that was not told yet."""
    db, now = work.db, work.now
    target = await db.scalar(
        select(NoticeTargets)
        .where(
            NoticeTargets.id == UUID(target_id),
            NoticeTargets.active,
            NoticeTargets.confirmed_at.is_not(None),
        )
        .with_for_update()
    )
    if target is None:
        return
    quiet = await quiet_hours_of(db, target.person_id, now)
    if quiet.quiet(now) and not critical:  # they were changed meanwhile
        await enqueue(
            db,
            DELIVER,
            at=quiet.not_before(now),
            once=target_id,
            owners=await organisations_of(db, target.person_id, now),
            target_id=target_id,
            critical=False,
        )
        return
    told = exists().where(NoticesTold.target_id == target.id, NoticesTold.notice_id == Notices.id)
    waits = select(Notices.id).where(
        Notices.person_id == target.person_id, Notices.read_at.is_(None), ~told
    )
    if critical:
        waits = waits.where(Notices.critical)
    found = (await db.scalars(waits)).all()
    if not found:
        return
    language = await db.scalar(select(Persons.language).where(Persons.id == target.person_id))
    if await _tell(work, target, language or "ru", len(found), critical=critical):
        target.told_at = now
        rows = [{"target_id": target.id, "notice_id": one} for one in found]
        await insert_many(db, NoticesTold, rows)


async def _tell(
    work: Work, target: NoticeTargets, language: str, count: int, *, critical: bool
) -> bool:
    """Say that something waits; False when there is nobody any more."""
    key = "notices.mail_critical" if critical else "notices.mail_subject"
    subject = sentence(language, key, {"count": count})
    if target.way == NoticeWay.PUSH:
        return await _push(work, target, language, subject, critical=critical)
    params: dict[str, str | int] = {
        "count": count,
        "url": f"{work.settings.urls[0]}/#/notices",
        "subject": subject,
    }
    name = "sms_text" if target.way == NoticeWay.SMS else "mail_text"
    text = sentence(language, f"notices.{name}", params)
    letter = Letter(target.address, language, subject, text)
    await carrier(NoticeWay(target.way), work.settings).carry(letter)
    return True


async def _push(
    work: Work, target: NoticeTargets, language: str, subject: str, *, critical: bool
) -> bool:
    if target.p256dh is None or target.auth is None:
        return False
    title = sentence(language, "common.name")
    payload = msgspec.json.encode({"title": title, "body": subject, "language": language})
    home, contact = work.settings.home, work.settings.mail_from
    token = web_push.token(home, target.address, contact, work.now)
    key = web_push.public_key(home)
    try:
        await web_push.send(
            target.address,
            web_push.sealed(payload, target.p256dh, target.auth),
            f"vapid t={token}, k={key}",
            urgent=critical,
        )
    except web_push.PushGone:
        await work.db.delete(target)
        return False
    return True


@job(SEND_CODE)
async def send_code(work: Work, target_id: str) -> None:
    """Send the code that proves an address; quiet hours do not hold what was just asked for."""
    target = await work.db.get(NoticeTargets, UUID(target_id))
    if (
        target is None
        or not target.address
        or target.confirmed_at is not None
        or work.now >= target.asked_at + CODE_LIVES
    ):
        return
    language = await work.db.scalar(select(Persons.language).where(Persons.id == target.person_id))
    code = code_for(target, secret(work.settings.home, "notice-codes"))
    params: dict[str, str | int] = {"code": code, "minutes": int(CODE_LIVES.total_seconds() // 60)}
    letter = Letter(
        target.address,
        language or "ru",
        sentence(language or "ru", "notices.mail_code_subject"),
        sentence(language or "ru", "notices.mail_code_text", params),
    )
    await carrier(NoticeWay(target.way), work.settings).carry(letter)
