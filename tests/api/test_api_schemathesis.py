"""The description is true: schemathesis asks by it, and nothing undocumented comes back."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from api_server import free_port
from api_world import World
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode, checks

from api.schema import document
from storage.settings import Settings

ROOT = Path(__file__).parents[2]


def _without_security() -> dict[str, Any]:
    """The description as it is to somebody who is signed in: the tests bring their own cookie."""
    found = deepcopy(document())
    for operation in (o for path in found["paths"].values() for o in path.values()):
        operation.pop("security", None)
    return found


@schemathesis.serializer("application/pdf")
def as_bytes(_: Any, value: Any) -> bytes:
    """Slides are sent as they are."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


# A body that is refused for its length, before anybody reads it, is refused as well.
REFUSED = [400, 401, 403, 404, 405, 406, 409, 413, 415, 422, 428, 429]
CONFIG = schemathesis.Config.from_dict(
    {"checks": {"negative_data_rejection": {"expected-statuses": REFUSED}}}
)
SCHEMA = schemathesis.openapi.from_dict(_without_security(), config=CONFIG)
# Signing out would end the session that the others use; the tests of sign-in cover it.
OPERATIONS = [
    result.ok()
    for result in SCHEMA.get_all_operations()
    if result.ok().definition.raw["operationId"] != "signOut"
]
# Asked only for ids that are not there: the one that is must stay as it is.
ENDING = {"closeVisit", "endLesson", "revokeDevice", "endSession"}
CHECKS = [
    checks.not_a_server_error,
    *checks.CHECKS.get_by_names(
        [
            "status_code_conformance",
            "content_type_conformance",
            "response_schema_conformance",
            "response_headers_conformance",
            "negative_data_rejection",
        ]
    ),
]
EXAMPLES = 8


@pytest.fixture(scope="module")
def address(
    stores: Settings, first_world: World, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The server as it is started in production, on a copy of the world."""
    import psycopg  # noqa: PLC0415 - only this fixture speaks to the database directly

    assert first_world.ids  # made, so there is a template to copy
    name = "api_schemathesis"
    with psycopg.connect(stores.embedded_database_url("postgres"), autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name} TEMPLATE template_api".encode())
    port = free_port()
    env = stores.to_env() | {
        "DATABASE_URL": stores.embedded_database_url(name),
        "YANASHA_HTTP_PORT": str(port),
        "PATH": os.environ["PATH"],
    }
    log = tmp_path_factory.mktemp("api") / "log"
    with log.open("wb") as out:
        process = subprocess.Popen([sys.executable, "-m", "api"], cwd=ROOT, env=env, stderr=out)
        url = f"http://127.0.0.1:{port}"
        _wait(url, process, log)
        yield url
        process.terminate()
        assert process.wait(10) in {0, -15}


def _wait(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        assert process.poll() is None, log.read_text()
        try:
            httpx.get(f"{url}/healthz").raise_for_status()
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return
    pytest.fail(log.read_text())


def _can_be_wrong(operation: Any) -> bool:
    """Whether there is a body to get wrong; an unknown query parameter is no error."""
    return bool(operation.body)


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=str)
@pytest.mark.parametrize(
    "operation", OPERATIONS, ids=[one.definition.raw["operationId"] for one in OPERATIONS]
)
def test_answers_are_as_described(
    operation: Any, mode: GenerationMode, address: str, first_world: World
) -> None:
    name = operation.definition.raw["operationId"]
    own = {"visit_id": str(first_world["visit"]), "lesson_id": str(first_world["lesson"])}
    # A device's token for what a device sends, else a session of who may do most.
    token = first_world.device_tokens["patient:cuff"]
    who = "teacher" if "/lessons/" in operation.path else "doctor"
    cookies = {} if name == "sendReadings" else {"yanasha": first_world.cookies[who]}
    headers = {"Authorization": f"Bearer {token}"} if name == "sendReadings" else {}

    if mode is GenerationMode.NEGATIVE and not _can_be_wrong(operation):
        return

    @given(case=operation.as_strategy(generation_mode=mode), known=st.booleans())
    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def asked(case: Any, known: bool) -> None:
        if known and mode is GenerationMode.POSITIVE and name not in ENDING:
            for parameter in own.keys() & (case.path_parameters or {}).keys():
                case.path_parameters[parameter] = own[parameter]
        case.call_and_validate(base_url=address, headers=headers, cookies=cookies, checks=CHECKS)

    asked()
