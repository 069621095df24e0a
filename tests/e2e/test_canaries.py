"""Nothing of people is left where programs leave their traces: logs, URLs, probes, dumps.

A whole journey with a failing sign-in, a note of a diagnosis, a reading, an emergency, a failure of
the database in the middle of a write, and everything that lets somebody in: cards, links, codes,
second steps, the first administrator's code. Then every trace is read for what was said, and for
the names, passwords, tokens and cookies of everybody; and once more with two leaks planted.
"""

import json
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import psycopg
import pyotp
import pytest
from house import House, wait_for
from playwright.sync_api import Browser, Page, Request, expect
from room import DeviceProgram, Room

from storage.settings import Settings

pytestmark = pytest.mark.browser

DIAGNOSIS = "подозрение на zqdiagnosisqz стенокардию"
REASON = "без сознания zqreasonqz, нужны измерения"
WRONG = "zqpasswordqz неверный"
ADDRESS = "zqaddressqz@example.org"
PLANTED = (
    "diagnosis",
    "reason",
    "password",
    "second",
    "login",
    "field",
    "value",
    "path",
    "address",
    "first",
)
# For what is written from now on; what the note says is sealed, the rest of the row is quoted.
BROKEN = "ALTER TABLE visit_notes ADD CONSTRAINT zq_broken CHECK (version < 0) NOT VALID"
MENDED = "ALTER TABLE visit_notes DROP CONSTRAINT zq_broken"


@contextmanager
def broken_notes(house: House) -> Iterator[None]:
    """A note fails in the database, which then quotes the row to its client."""
    url = Settings.from_env(house.environ).database_url
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(BROKEN)
    try:
        yield
    finally:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(MENDED)


# A house that has an administrator gives out no code of a first one: here it has none for a moment.
ASIDE = """
    CREATE TABLE zq_aside AS SELECT * FROM relations WHERE kind = 'administration';
    DELETE FROM relations WHERE kind = 'administration';
"""
BACK = "INSERT INTO relations SELECT * FROM zq_aside; DROP TABLE zq_aside;"


def first_code(house: House) -> str:
    """The code of a first administrator, as the operator is shown it."""
    url = Settings.from_env(house.environ).database_url
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(ASIDE)
        try:
            shown = house.run("first-administrator")
        finally:
            connection.execute(BACK)
    (code,) = re.findall(r"first-[\w-]+", shown)
    return code


def journey(browser: Browser, house: House) -> tuple[list[str], set[str], dict[str, str]]:
    """Everything that is done; the URLs asked for, the cookies and the secrets given out."""
    visit = house.world["visits"][1]
    urls: list[str] = []
    cookies: set[str] = set()

    def asked(request: Request) -> None:
        urls.append(heard(request))

    with (
        DeviceProgram(house, visit["patient_id"]),
        Room(browser, house, visit["doctor_id"], visit["id"]) as doctor,
        Room(browser, house, visit["patient_id"], visit["id"]) as patient,
    ):
        for room in (doctor, patient):
            room.page.on("request", asked)
            room.page.on("websocket", lambda socket: urls.append(socket.url))
            room.sign_in()
            room.enter()
            room.join()
            cookies |= {one["value"] for one in room.context.cookies() if "value" in one}
        note = doctor.page.get_by_test_id("note")
        note.locator("textarea").fill(DIAGNOSIS)
        expect(note).to_have_attribute("data-state", "saved", timeout=15_000)
        with broken_notes(house):
            note.locator("textarea").fill(f"{DIAGNOSIS} zqsecondqz")
            wait_for("the failure in the log", lambda: "IntegrityError" in logs(house))
        note.locator("textarea").fill(DIAGNOSIS)
        expect(note).to_have_attribute("data-state", "saved", timeout=30_000)
        ask_directly(doctor, house, visit)
        given, asked_besides = given_out(browser, house, patient)
    return [*urls, *asked_besides], cookies, given


FIRST = ("organisation_name", "given_name", "family_name", "login", "password")
ASK = """async ([method, path, body]) => {
    const headers = body === null ? {} : { 'Content-Type': 'application/json' };
    const sent = body === null ? undefined : JSON.stringify(body);
    const answer = await fetch(path, { method, headers, body: sent });
    const said = answer.headers.get('Content-Type') ?? '';
    return [answer.status, said.includes('json') ? await answer.json() : null];
}"""


def ask(page: Page, method: str, path: str, body: Any = None) -> Any:
    """Ask from within the page, so that its addresses are heard; status and what was said."""
    return page.evaluate(ASK, [method, f"/api/v1{path}", body])


def ask_directly(doctor: Room, house: House, visit: dict[str, str]) -> None:
    """What has no button on this page: a wrong password, an emergency, a body that is refused."""
    clinic, page = visit["organisation_id"], doctor.page
    wrong = {"login": "zqloginqz", "password": WRONG}
    assert ask(page, "POST", "/sign-in", wrong)[0] in {401, 429}
    patient = next(v["patient_id"] for v in house.world["visits"] if v["organisation_id"] == clinic)
    emergency = {"reason": REASON, "person_id": patient}
    path = f"/organisations/{clinic}/break-glass"
    assert ask(page, "POST", path, emergency)[0] == 201
    assert ask(page, "POST", path, {"zqfieldqz": "zqvalueqz", **emergency})[0] == 400
    # Not by the page: what is asked for here is in the address itself.
    assert page.request.get(f"{house.url}/api/v1/records/zqpathqz").status == 404


def given_out(browser: Browser, house: House, patient: Room) -> tuple[dict[str, str], list[str]]:
    """Everything that lets somebody in, made and used; and the addresses that were asked for."""
    page, urls = patient.page, []
    person = patient.person["id"]
    clinic = patient.person["organisation_id"]
    assert ask(page, "PUT", "/notices/mail", {"address": ADDRESS})[0] == 202
    found = {
        purpose: ask(page, "POST", "/codes", {"purpose": purpose})[1]["code"]
        for purpose in ("share_profile", "assist")
    }
    found["totp"] = ask(page, "POST", "/factors/totp")[1]["secret"]
    number = pyotp.TOTP(found["totp"]).now()
    status, enrolled = ask(page, "PUT", "/factors/totp", {"code": number})
    assert status == 200
    found |= {f"recovery {n}": one for n, one in enumerate(enrolled["recovery_codes"])}
    known = {key: patient.person[key] for key in ("login", "password")}
    found["second step"] = ask(page, "POST", "/sign-in", known)[1]["second_step"]
    assert ask(page, "DELETE", "/factors/totp")[0] == 204
    child, office = (
        next(p for p in house.world["persons"] if p["login"] == login)
        for login in ("pupil.aidar", "admin.gulnara")
    )
    for one in (child, office):
        with closing(browser.new_context()) as context:
            guest = context.new_page()
            guest.on("request", lambda request: urls.append(heard(request)))
            guest.goto(house.url)
            ask(guest, "POST", "/sign-in", {key: one[key] for key in ("login", "password")})
            if one is child:
                found["guardian"] = ask(guest, "POST", "/family/code")[1]["code"]
                continue
            sheet = ask(guest, "POST", f"/organisations/{clinic}/cards", {"person_ids": [person]})
            found["card"] = sheet[1]["cards"][0]["secret"]
            link = ask(guest, "POST", f"/organisations/{clinic}/links", {"person_id": person})
            found["link"] = link[1]["secret"]
    found["first administrator"] = first_code(house)
    for secret in (found["card"], found["link"], found["first administrator"]):
        with closing(browser.new_context()) as context:
            guest = context.new_page()
            guest.on("request", lambda request: urls.append(heard(request)))
            guest.goto(f"{house.url}/#/enter/{secret}")
            expect(guest.locator("h1")).to_be_visible()
            assert ask(guest, "POST", "/enter", {"secret": secret})[0] in {201, 403, 404, 429}
            if secret == found["first administrator"]:
                begin = dict.fromkeys(FIRST, "zqfirstqz") | {"organisation_kind": "clinic"}
                answer = ask(guest, "POST", "/first-administrator", begin | {"code": secret})
                assert answer[0] in {409, 429}, answer
    return found, urls


def heard(request: Request) -> str:
    """What the server is told: an address without what stays in the browser, and where from."""
    return request.url.partition("#")[0] + " " + request.headers.get("referer", "")


def logs(house: House) -> str:
    """Everything the house has written about itself."""
    kept = [path.read_text(errors="replace") for path in sorted((house.home / "log").iterdir())]
    return "\n".join([*kept, *house.lines])


def secrets(house: House, cookies: set[str]) -> dict[str, str]:
    """What must not be found: what was said, and what is known of everybody."""
    found = {f"{person['login']}: name": person["name"] for person in house.world["persons"]}
    for person in house.world["persons"]:
        given, _, family = person["name"].rpartition(" ")
        found |= {f"{person['login']}: {n}": n for n in (given, family) if len(n) > 3}
        found[f"{person['login']}: password"] = person["password"]
    found |= {f"token {one['id']}": one["token"] for one in house.world["devices"]}
    found |= {f"cookie {n}": value for n, value in enumerate(sorted(cookies))}
    return found | {f"planted {word}": f"zq{word}qz" for word in PLANTED}


def test_a_journey_leaves_nothing_of_people_in_any_trace(browser: Browser, house: House) -> None:
    """Logs of every child, what the terminal showed, probes, URLs; and nothing dumps its memory."""
    urls, cookies, given = journey(browser, house)
    assert cookies
    assert len(given) > 10
    request = browser.new_context().request
    probes = [request.get(house.url + path).text() for path in ("/healthz", "/readyz")]
    wanted = secrets(house, cookies) | given
    traces = traces_of(house, probes, urls)
    assert all(traces.values())
    assert leaks(traces, wanted) == []
    lines = (line for line in traces["logs"].splitlines() if "IntegrityError" in line)
    failed = [json.loads(line[line.index("{") :]) for line in lines]
    assert failed
    assert all(re.fullmatch(r"[\w.]+", one["error"]) for one in failed)
    assert dumps(house) == []
    # The same eyes see a name in a log and a code in an address.
    name = house.world["persons"][0]["name"]
    with leak_in_log(house, name), closing(browser.new_context()) as context:
        guest = context.new_page()
        guest.on("request", lambda request: urls.append(heard(request)))
        guest.goto(f"{house.url}/?code={given['share_profile']}")
        seen = set(leaks(traces_of(house, probes, urls), wanted))
    login = house.world["persons"][0]["login"]
    assert seen >= {f"{login}: name in logs", "share_profile in URLs"}


@contextmanager
def leak_in_log(house: House, word: str) -> Iterator[None]:
    """A line beside the others that says a word."""
    leak = house.home / "log" / "zq.log"
    leak.write_text(json.dumps({"event": "planted", "person": word}, ensure_ascii=False) + "\n")
    try:
        yield
    finally:
        leak.unlink()


def traces_of(house: House, probes: list[str], urls: list[str]) -> dict[str, str]:
    """All that is left of a journey, by where it lies."""
    return {
        "logs": logs(house),
        "status": house.run("status", "--json"),
        "probes": "\n".join(probes),
        "URLs": unquote("\n".join(urls)),
    }


def leaks(traces: dict[str, str], wanted: dict[str, str]) -> list[str]:
    """What of the wanted is found, and where."""
    return [
        f"{name} in {where}"
        for where, text in traces.items()
        for name, word in wanted.items()
        if word in text
    ]


def dumps(house: House) -> list[str]:
    """Processes that would write their memory to a file, and files that look like it."""
    found = [str(path) for path in house.home.rglob("core*") if path.is_file()]
    for pid in (one["pid"] for one in house.children().values()):
        limits = Path(f"/proc/{pid}/limits").read_text()
        if not re.search(r"Max core file size\s+0\s+0\s", limits):
            found.append(f"process {pid}")
    return found
