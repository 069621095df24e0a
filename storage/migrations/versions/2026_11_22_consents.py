"""Consent texts with the house's own wording, consents, codes shown as QR, shares, paused takes."""

from datetime import UTC, datetime
from uuid import UUID, uuid5

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "consents"
down_revision = "audit_chain"

_NAMESPACE = UUID("9c5a2a0e-3d1f-5f0d-8b3e-6a7c1b2d4e90")
_PUBLISHED_AT = datetime(2026, 11, 22, tzinfo=UTC)
_TEXTS = {
    "data_processing": {
        "ru": (
            "Я разрешаю этой организации хранить и использовать мои данные (имя, дату "
            "рождения, то, что нужно для приёмов и уроков), чтобы она могла мне помогать и "
            "учить. Данные хранятся в России, у этой организации. Их не передают другим без "
            "моего согласия, кроме случаев, названных в законе. Я могу отозвать согласие в "
            "любое время; то, что организация обязана хранить по закону, останется у неё до "
            "конца срока."
        ),
        "tt": (
            "Мин бу оешмага үз мәгълүматларымны (исемемне, туган көнемне, кабул итүләр һәм "
            "дәресләр өчен кирәген) сакларга һәм кулланырга рөхсәт итәм: ул миңа ярдәм "
            "итсен һәм укытсын өчен. Мәгълүматлар Россиядә, шушы оешмада саклана. Законда "
            "күрсәтелгән очраклардан тыш, алар минем ризалыгымнан башка беркемгә дә "
            "бирелми. Ризалыгымны теләсә кайчан кире ала алам; закон буенча сакланырга "
            "тиешлесе срогы беткәнче оешмада кала."
        ),
        "en": (
            "I allow this organisation to keep and use my data (name, date of birth, what "
            "visits and lessons need) so that it can care for me and teach me. The data "
            "stay in Russia, with this organisation. They are given to nobody else without "
            "my consent, except where the law says so. I can take my consent back at any "
            "time; what the law makes the organisation keep stays there until its time is "
            "over."
        ),
    },
    "telemedicine": {
        "ru": (
            "Я согласен на консультации на расстоянии: по видео, голосом и по показаниям "
            "домашних приборов. Я понимаю, что по видео нельзя сделать всё, что можно на "
            "приёме, и что при внезапном ухудшении нужно звонить 112, а не ждать "
            "консультации. Врач видит мои показания, пока идёт консультация, и записи о ней "
            "остаются в моей карте. Я могу отозвать согласие и прийти на обычный приём."
        ),
        "tt": (
            "Мин ерактан торып консультация алырга риза: видео, тавыш һәм өйдәге приборлар "
            "күрсәткәне аша. Видео аша кабул итүдәгенең барысын да эшләп булмавын, хәлем "
            "кинәт начарланса консультация көтмичә 112 гә шалтыратырга кирәклеген аңлыйм. "
            "Консультация барганда табиб минем күрсәткечләрне күрә, ул турыдагы язмалар "
            "минем картада кала. Ризалыгымны кире алып, гадәти кабул итүгә килә алам."
        ),
        "en": (
            "I agree to consultations at a distance: by video, by voice and by the readings "
            "of home devices. I understand that a video call cannot do everything a visit "
            "can, and that if I suddenly get worse I must call 112 and not wait for a "
            "consultation. The doctor sees my readings while the consultation lasts, and "
            "its notes stay in my record. I can take my consent back and come to an "
            "ordinary visit."
        ),
    },
    "recording_lesson": {
        "ru": (
            "Я согласен, чтобы уроки записывали. В запись попадают картинка и голос "
            "учителя, его экран и слайды, а голос и камера ученика только тогда, когда "
            "учитель даёт ему слово. Все в классе видят красный знак записи. Смотреть "
            "запись могут только те, кого я выбрал: класс или вся школа. Если я отзову "
            "согласие, запись при мне сразу остановится."
        ),
        "tt": (
            "Мин дәресләрне язуга риза. Язмага укытучының сурәте һәм тавышы, аның экраны "
            "һәм слайдлары керә, ә укучының тавышы һәм камерасы фәкать укытучы аңа сүз "
            "биргәндә генә. Класстагылар барысы да кызыл язу билгесен күрә. Язманы мин "
            "сайлаганнар гына карый ала: класс яки бөтен мәктәп. Ризалыгымны кире алсам, "
            "мин булганда язу шунда ук туктый."
        ),
        "en": (
            "I agree to lessons being recorded. The recording holds the teacher's picture "
            "and voice, the teacher's screen and slides, and a pupil's voice and camera "
            "only while the teacher gives that pupil the floor. Everybody in the class sees "
            "the red sign of recording. Only those I chose can watch it: the class or the "
            "whole school. If I take my consent back, recording stops at once while I am "
            "there."
        ),
    },
    "recording_visit": {
        "ru": (
            "Я согласен, чтобы консультацию записывали, когда об этом попросит врач и на "
            "экране появится красный знак записи. Запись становится частью моей карты, её "
            "видят только те, кому открыта карта. Я могу отказаться от записи и всё равно "
            "получить консультацию, и могу отозвать согласие во время консультации."
        ),
        "tt": (
            "Табиб сораганда һәм экранда кызыл язу билгесе күренгәндә, мин консультацияне "
            "язуга риза. Язма минем картаның бер өлеше була, аны картам ачык булганнар гына "
            "күрә. Мин язудан баш тарта һәм барыбер консультация ала алам, ризалыгымны "
            "консультация барганда да кире ала алам."
        ),
        "en": (
            "I agree to a consultation being recorded when the doctor asks for it and the "
            "red sign of recording is on the screen. The recording becomes part of my "
            "record and is seen only by those to whom the record is open. I can refuse the "
            "recording and still have the consultation, and I can take my consent back "
            "while it lasts."
        ),
    },
    "share_profile": {
        "ru": (
            "Я открываю выбранную часть своей карты одному врачу одной клиники на выбранное "
            "время. Врач видит её только на экране. Я вижу, когда он её открывал, и могу "
            "закрыть доступ в любую минуту: следующий запрос врача уже ничего не покажет."
        ),
        "tt": (
            "Мин картамның сайланган өлешен бер клиниканың бер табибына сайланган вакытка "
            "ачам. Табиб аны экранда гына күрә. Аның кайчан караганын күрәм һәм рөхсәтне "
            "теләсә кайсы минутта яба алам: табибның киләсе соравы бернәрсә дә "
            "күрсәтмәячәк."
        ),
        "en": (
            "I open the chosen part of my record to one doctor of one clinic for the chosen "
            "time. The doctor sees it on the screen only. I see when it was looked at and "
            "can close it at any minute: the doctor's next request shows nothing any more."
        ),
    },
}


def upgrade() -> None:
    texts = op.create_table(
        "consent_texts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=True),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("ru", sa.Text(), nullable=False),
        sa.Column("tt", sa.Text(), nullable=False),
        sa.Column("en", sa.Text(), nullable=False),
        sa.Column("asks_again", sa.Boolean(), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("published_by", sa.Uuid(), nullable=True),
        sa.CheckConstraint("version > 0", name=op.f("ck_consent_texts_version")),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["organisations.id"],
            name=op.f("fk_consent_texts_organisation_id_organisations"),
        ),
        sa.ForeignKeyConstraint(
            ["published_by"], ["persons.id"], name=op.f("fk_consent_texts_published_by_persons")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consent_texts")),
    )
    op.create_index(
        "ux_consent_texts_version",
        "consent_texts",
        ["organisation_id", "purpose", "version"],
        unique=True,
        postgresql_nulls_not_distinct=True,
    )
    op.bulk_insert(
        texts,
        [
            {
                "id": uuid5(_NAMESPACE, purpose),
                "organisation_id": None,
                "purpose": purpose,
                "version": 1,
                **words,
                "asks_again": True,
                "published_at": _PUBLISHED_AT,
                "published_by": None,
            }
            for purpose, words in _TEXTS.items()
        ],
    )
    op.create_table(
        "consents",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("given_by", sa.Uuid(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("scope", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("text_id", sa.Uuid(), nullable=False),
        sa.Column("given_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_by", sa.Uuid(), nullable=True),
        sa.Column("why", sa.Text(), nullable=True),
        sa.CheckConstraint("(ended_at IS NULL) = (why IS NULL)", name=op.f("ck_consents_over")),
        sa.CheckConstraint("why IN ('withdrawn', 'replaced')", name=op.f("ck_consents_why")),
        sa.ForeignKeyConstraint(
            ["ended_by"], ["persons.id"], name=op.f("fk_consents_ended_by_persons")
        ),
        sa.ForeignKeyConstraint(
            ["given_by"], ["persons.id"], name=op.f("fk_consents_given_by_persons")
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["organisations.id"],
            name=op.f("fk_consents_organisation_id_organisations"),
        ),
        sa.ForeignKeyConstraint(
            ["person_id"], ["persons.id"], name=op.f("fk_consents_person_id_persons")
        ),
        sa.ForeignKeyConstraint(
            ["text_id"], ["consent_texts.id"], name=op.f("fk_consents_text_id_consent_texts")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consents")),
    )
    op.create_index(
        op.f("ix_consents_person_id_purpose"), "consents", ["person_id", "purpose"], unique=False
    )
    op.create_index(
        "ux_consents_given",
        "consents",
        ["person_id", "given_by", "purpose", "organisation_id"],
        unique=True,
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_table(
        "codes",
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("params", postgresql.JSONB(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "purpose IN ('share_profile', 'assist', 'guardian')", name=op.f("ck_codes_purpose")
        ),
        sa.ForeignKeyConstraint(
            ["person_id"], ["persons.id"], name=op.f("fk_codes_person_id_persons")
        ),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_codes")),
    )
    op.create_index(
        op.f("ix_codes_person_id_purpose"), "codes", ["person_id", "purpose"], unique=False
    )
    op.create_table(
        "shares",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("asked_by", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("asked_fields", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answer_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("answered_by", sa.Uuid(), nullable=True),
        sa.Column("fields", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("text_id", sa.Uuid(), nullable=True),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_by", sa.Uuid(), nullable=True),
        sa.CheckConstraint(
            "(until IS NULL) = (cardinality(fields) = 0)", name=op.f("ck_shares_opened")
        ),
        sa.CheckConstraint("cardinality(asked_fields) > 0", name=op.f("ck_shares_asked")),
        *(
            sa.ForeignKeyConstraint(
                [column], [f"{table}.id"], name=op.f(f"fk_shares_{column}_{table}")
            )
            for column, table in (
                ("person_id", "persons"),
                ("asked_by", "persons"),
                ("answered_by", "persons"),
                ("ended_by", "persons"),
                ("organisation_id", "organisations"),
                ("text_id", "consent_texts"),
            )
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shares")),
    )
    for column in ("person_id", "asked_by"):
        op.create_index(
            op.f(f"ix_shares_{column}_asked_at"), "shares", [column, "asked_at"], unique=False
        )
    # A take that stopped because somebody had not agreed: the next one begins by itself.
    op.add_column(
        "lesson_takes", sa.Column("paused", sa.Boolean(), server_default="false", nullable=False)
    )
    op.create_check_constraint(
        op.f("ck_lesson_takes_paused"), "lesson_takes", "NOT paused OR stopped_at IS NOT NULL"
    )
    op.create_index(
        "ix_lesson_takes_paused",
        "lesson_takes",
        ["lesson_id"],
        unique=True,
        postgresql_where=sa.text("paused"),
    )


def downgrade() -> None:
    op.drop_index("ix_lesson_takes_paused", table_name="lesson_takes")
    op.drop_constraint(op.f("ck_lesson_takes_paused"), "lesson_takes", type_="check")
    op.drop_column("lesson_takes", "paused")
    for column in ("asked_by", "person_id"):
        op.drop_index(op.f(f"ix_shares_{column}_asked_at"), table_name="shares")
    op.drop_table("shares")
    op.drop_index(op.f("ix_codes_person_id_purpose"), table_name="codes")
    op.drop_table("codes")
    op.drop_index("ux_consents_given", table_name="consents")
    op.drop_index(op.f("ix_consents_person_id_purpose"), table_name="consents")
    op.drop_table("consents")
    op.drop_index("ux_consent_texts_version", table_name="consent_texts")
    op.drop_table("consent_texts")
