"""The gateway's commands: what they refuse, what they tell, and that they tell no measured value."""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from bumble.link import LocalLink
from virtual_radio import READ_REQUIRES_PAIRING, Peripheral, Properties, VirtualRadio, device_on

from devices.gateway.buffer import Buffer
from devices.gateway.cli import Unusable, add, checked_server, main, parser, shown, token_of
from devices.gateway.kept import Heard, Setup, State
from devices.gateway.link import NotReached
from devices.gateway.status import DeviceState, lines, state_of
from devices.measurement import Kind, Measurement

NOW = datetime(2026, 3, 10, 8, 0, tzinfo=UTC)
CUFF = "F0:00:00:00:00:01"
TOKEN = "secret-token-of-the-cuff"
SETUP = Setup(
    address=CUFF, name="Cuff", model="", zone="UTC", server="http://127.0.0.1:1", token=TOKEN
)

pytestmark = pytest.mark.timeout(30)


def pressure(sequence: int) -> Measurement:
    values = {"systolic": 187.0, "diastolic": 93.0}
    return Measurement(
        kind=Kind.BLOOD_PRESSURE, sequence=sequence, taken_at=NOW, unit="mmHg", values=values
    )


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A gateway's folder: one reading of each state, one payload that is none."""
    with Buffer.at(tmp_path / "buffer.sqlite") as buffer:
        buffer.add_device(SETUP, NOW)
        buffer.keep(1, [Heard(0x2A35, b"\x1e", NOW)])
        (message,) = buffer.unread()
        buffer.settle(message, [pressure(n) for n in range(4)], ["too_short"])
        buffer.mark(1, [pressure(1)], State.SENT, NOW)
        buffer.mark(1, [pressure(2)], State.STORED, NOW)
        buffer.mark(1, [pressure(3)], State.REFUSED, NOW, "from_future")
        buffer.connected(1, "link_lost", NOW)
        buffer.turned_away(1, "not_signed_in")
    return tmp_path


def test_the_three_states_are_told_and_what_is_in_the_way(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--home", str(home), "status"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "Cuff: on this device 1, sent 1, stored 1; last heard 2026-03-10 08:00 UTC",
        "Cuff: the server refuses it (not_signed_in)",
        "Cuff: the connection was cut; it goes on from there at the next one",
        "Cuff: refused by the server: from_future 1",
        "Cuff: not readings: too_short 1",
    ]


def test_programs_read_the_state_as_json(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--home", str(home), "status", "--json"]) == 0
    told = capsys.readouterr().out
    (state,) = msgspec.json.decode(told, type=list[DeviceState])
    assert (state.here, state.sent, state.stored, state.refused) == (1, 1, 1, {"from_future": 1})


@pytest.mark.parametrize("options", [["status"], ["status", "--json"]])
def test_no_state_tells_a_value_or_a_token(
    home: Path, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    main(["--home", str(home), *options])
    told = "".join(capsys.readouterr())
    assert told
    assert all(secret not in told for secret in ("187", "93.0", TOKEN))


def test_a_gateway_without_devices_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--home", str(tmp_path), "status"]) == 0
    assert main(["--home", str(tmp_path), "run"]) == 1
    assert main(["--home", str(tmp_path), "remove", CUFF]) == 1
    out, error = capsys.readouterr()
    assert out == "no device has been added\n"
    assert error.splitlines() == [
        "gateway: no device has been added: see `add`",
        f"gateway: {CUFF} is not known here",
    ]


def test_a_device_is_not_forgotten_before_its_readings_are_stored(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--home", str(home), "remove", CUFF]) == 1
    assert "2 readings of it wait" in capsys.readouterr().err
    with Buffer.at(home / "buffer.sqlite") as buffer:
        buffer.mark(1, [pressure(0), pressure(1)], State.STORED, NOW)
    assert main(["--home", str(home), "remove", CUFF]) == 0
    with Buffer.at(home / "buffer.sqlite") as buffer:
        assert state_of(buffer) == []


def test_a_device_is_forgotten_with_what_waits_where_that_is_said(home: Path) -> None:
    assert main(["--home", str(home), "remove", CUFF, "--unsent-too"]) == 0
    with Buffer.at(home / "buffer.sqlite") as buffer:
        assert state_of(buffer) == []


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("Omron\x1b[2J\x1b]0;root\x07", "Omron[2J]0;root"),
        ("BM 85\0\0", "BM 85"),
        ("\u202etemor\u202c", "temor"),
        ("Тонометр", "Тонометр"),
    ],
)
def test_what_a_strangers_device_calls_itself_does_not_steer_the_terminal(
    name: str, told: str
) -> None:
    assert shown(name) == told


@pytest.mark.parametrize(
    "address",
    [
        "http://clinic.example",
        "http://10.0.0.7:8000",
        "ftp://x",
        "clinic.example",
        "https://",
        "https://clinic.example:99999",
        "https://[::1",
        "https://name:password@clinic.example",
        "https://clinic.example/?q=1",
    ],
)
def test_readings_do_not_go_in_the_clear(address: str) -> None:
    with pytest.raises(Unusable):
        checked_server(address, plain=False)


@pytest.mark.parametrize(
    ("address", "plain"),
    [
        ("https://clinic.example/", False),
        ("http://localhost:8000", False),
        ("http://127.0.0.1:8000", False),
        ("http://[::1]:8000", False),
        ("http://10.0.0.7:8000", True),
    ],
)
def test_a_server_may_be(address: str, plain: bool) -> None:
    assert checked_server(address, plain=plain) == address.rstrip("/")


@pytest.mark.parametrize("content", ["", "two words", "с буквами", "a\nb"])
def test_what_is_no_token_is_not_kept(tmp_path: Path, content: str) -> None:
    file = tmp_path / "token"
    file.write_text(content)
    with pytest.raises(Unusable):
        token_of(str(file))


async def test_a_device_is_paired_and_kept_under_its_own_model_name(tmp_path: Path) -> None:
    air = LocalLink()
    cuff = Peripheral(air, CUFF, "cuff", 0x1810)
    cuff.has(0x2A35, Properties.INDICATE)
    cuff.has(0x2A24, Properties.READ, b"BM 85\0", READ_REQUIRES_PAIRING)
    await cuff.on()
    central = device_on(air, "F0:00:00:00:00:0A", "gateway")
    await central.power_on()
    token = tmp_path / "token"
    token.write_text(TOKEN + "\n")
    words = ["--home", str(tmp_path), "add", CUFF.lower(), "--server", "https://clinic.example/"]
    words += ["--token-file", str(token), "--zone", "Asia/Yekaterinburg", "--seconds", "0.1"]
    await add(parser().parse_args([*words, "--user", "2"]), VirtualRadio(central))
    with Buffer.at(tmp_path / "buffer.sqlite") as buffer:
        (known,) = buffer.devices()
    assert (known.address, known.name, known.model) == (CUFF, "BM 85", "BM 85")
    assert (known.zone, known.user, known.token) == ("Asia/Yekaterinburg", 2, TOKEN)
    assert known.server == "https://clinic.example"
    with Buffer.at(tmp_path / "buffer.sqlite") as buffer:
        buffer.keep(1, [Heard(0x2A35, b"\x1e", NOW)])
    token.write_text("another")
    with pytest.raises(Unusable, match="same person"):
        await add(parser().parse_args(words), VirtualRadio(central))
    await add(parser().parse_args([*words, "--same-person"]), VirtualRadio(central))
    with Buffer.at(tmp_path / "buffer.sqlite") as buffer:
        assert [known.token for known in buffer.devices()] == ["another"]
    words[3] = "F0:00:00:00:00:99"
    with pytest.raises(NotReached, match="was not heard"):
        await add(parser().parse_args(words), VirtualRadio(central))


def test_a_state_without_trouble_is_one_line() -> None:
    state = DeviceState(
        name="Cuff",
        address=CUFF,
        here=0,
        sent=0,
        stored=3,
        refused={},
        not_readings={},
        heard_at=None,
        trouble="",
        refused_by_server="",
    )
    assert lines([state]) == ["Cuff: on this device 0, sent 0, stored 3; last heard never"]


def test_the_gateway_runs_without_the_servers_libraries() -> None:
    """A home computer has what requirements/gateway.txt installs, and no more."""
    program = "import sys, devices.gateway.cli, devices.gateway.radio; print(*sys.modules)"
    out = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    loaded = {name.partition(".")[0] for name in out.stdout.split()}
    assert {"bleak", "httpx", "msgspec"} <= loaded
    server = {
        "numpy",
        "scipy",
        "websockets",
        "sqlalchemy",
        "litestar",
        "psycopg",
        "pydicom",
        "edfio",
    }
    assert loaded & server == set()
