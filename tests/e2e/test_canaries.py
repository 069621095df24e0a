"""Nothing of people is left where programs leave their traces: logs, URLs, probes, dumps.

A whole journey with a failing sign-in, a note of a diagnosis, a reading, an emergency and a failure
of the database in the middle of a write; then every trace is read for what was said, and for the
names, passwords, tokens and cookies of everybody.
"""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote

import psycopg
import pytest
from house import House, wait_for
from playwright.sync_api import Browser, Request, expect
from room import DeviceProgram, Room

from storage.settings import Settings

pytestmark = pytest.mark.browser

DIAGNOSIS = "подозрение на zqdiagnosisqz стенокардию"
REASON = "без сознания zqreasonqz, нужны измерения"
WRONG = "zqpasswordqz неверный"
PLANTED = ("diagnosis", "reason", "password", "second", "login", "field", "value", "path")
BROKEN = "ALTER TABLE visit_notes ADD CONSTRAINT zq_broken CHECK (text NOT LIKE '%zqsecondqz%')"
MENDED = "ALTER TABLE visit_notes DROP CONSTRAINT zq_broken"


@contextmanager
def broken_notes(house: House) -> Iterator[None]:
    """A note with a certain word fails in the database, which then quotes the row to its client."""
    url = Settings.from_env(house.environ).database_url
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(BROKEN)
    try:
        yield
    finally:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(MENDED)


def journey(browser: Browser, house: House) -> tuple[list[str], set[str]]:
    """Everything that is done; the URLs that were asked for and the cookies that were given."""
    visit = house.world["visits"][1]
    urls: list[str] = []
    cookies: set[str] = set()

    def asked(request: Request) -> None:
        urls.append(request.url + " " + request.headers.get("referer", ""))

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
    return urls, cookies


def ask_directly(doctor: Room, house: House, visit: dict[str, str]) -> None:
    """What has no button on this page: a wrong password, an emergency, a body that is refused."""
    origin = {"Origin": house.url}
    api, clinic = f"{house.url}/api/v1", visit["organisation_id"]
    wrong = {"login": "zqloginqz", "password": WRONG}
    request = doctor.page.request
    assert request.post(f"{api}/sign-in", data=wrong, headers=origin).status in {401, 429}
    patient = next(v["patient_id"] for v in house.world["visits"] if v["organisation_id"] == clinic)
    emergency = {"reason": REASON, "person_id": patient}
    path = f"{api}/organisations/{clinic}/break-glass"
    assert request.post(path, data=emergency, headers=origin).status == 201
    bad = {"zqfieldqz": "zqvalueqz", **emergency}
    assert request.post(path, data=bad, headers=origin).status == 400
    assert request.get(f"{api}/records/zqpathqz").status == 404


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
    urls, cookies = journey(browser, house)
    assert cookies
    request = browser.new_context().request
    probes = [request.get(house.url + path).text() for path in ("/healthz", "/readyz")]
    traces = {
        "logs": logs(house),
        "status": house.run("status", "--json"),
        "probes": "\n".join(probes),
        "URLs": unquote("\n".join(urls)),
    }
    assert all(traces.values())
    wanted = secrets(house, cookies)
    leaks = [
        f"{name} in {where}"
        for where, text in traces.items()
        for name, word in wanted.items()
        if word in text
    ]
    assert leaks == []
    lines = (line for line in traces["logs"].splitlines() if "IntegrityError" in line)
    failed = [json.loads(line[line.index("{") :]) for line in lines]
    assert failed
    assert all(re.fullmatch(r"[\w.]+", one["error"]) for one in failed)
    assert dumps(house) == []


def dumps(house: House) -> list[str]:
    """Processes that would write their memory to a file, and files that look like it."""
    found = [str(path) for path in house.home.rglob("core*") if path.is_file()]
    for pid in (one["pid"] for one in house.children().values()):
        limits = Path(f"/proc/{pid}/limits").read_text()
        if not re.search(r"Max core file size\s+0\s+0\s", limits):
            found.append(f"process {pid}")
    return found
