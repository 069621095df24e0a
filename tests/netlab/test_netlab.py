"""The bad line itself: what is asked of it is what datagrams meet."""

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.netlab.lab import Lab, missing
from tests.netlab.link import Line
from tests.netlab.noted import frames_at, longest, speech_at

PROBE = Path(__file__).with_name("probe.py")
MANY = 300


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """A line; where it cannot be had, CI fails and a desk skips with the reason."""
    reason = missing()
    if reason and os.environ.get("CI"):
        pytest.fail(reason)
    if reason:
        pytest.skip(reason)
    with Lab() as lab, echo_at_b(lab):
        yield lab


@contextmanager
def echo_at_b(lab: Lab) -> Iterator[None]:
    """Somebody at b who answers."""
    command = lab.inside("b", [sys.executable, str(PROBE), "echo", lab.address("b")])
    with subprocess.Popen(command, stdout=subprocess.PIPE) as echo:
        assert echo.stdout
        assert echo.stdout.readline() == b"ready\n"
        yield
        echo.terminate()


def ask(lab: Lab, count: int = MANY) -> dict[str, float]:
    """What a's datagrams meet on their way to b and back."""
    command = lab.inside("a", [sys.executable, str(PROBE), "ask", lab.address("b"), str(count)])
    ran = subprocess.run(command, check=True, capture_output=True, timeout=20)
    met: dict[str, float] = json.loads(ran.stdout)
    return met


def test_loss_delay_and_jitter_are_what_was_asked_for(lab: Lab) -> None:
    """Ten percent one way, 40 ms there and 20 ms back; packets keep their order."""
    lab.change("ab", loss=0.1, delay_ms=40, jitter_ms=10)
    lab.change("ba", delay_ms=20)
    met = ask(lab)
    assert 0.84 <= met["answered"] <= 0.96
    assert 55 <= met["rtt_ms"] <= 120  # never less than asked; more when the machine is busy
    assert met["in_order"]


def test_a_line_that_is_down_carries_nothing_and_comes_back(lab: Lab) -> None:
    """Each direction by itself, while everything goes on running."""
    lab.change(loss=0.0, delay_ms=0, jitter_ms=0)
    lab.change("ba", down=True)
    assert ask(lab, 20)["answered"] == 0
    counted = lab.change("ba", down=False)
    assert counted["ba"]["lost"] >= 20
    assert counted["ab"]["sent"] >= 20
    assert ask(lab, 20)["answered"] == 1


def test_media_alone_can_be_cut(lab: Lab) -> None:
    """Datagrams are lost, and counted so; what goes over TCP would pass."""
    lab.change("ba", udp_down=True)
    assert ask(lab, 5)["answered"] == 0
    assert lab.change("ba", udp_down=False)["ba"]["lost"] >= 5


def test_a_break_of_speech_is_where_what_was_heard_was_invented() -> None:
    """Looks ten times a second; from 0.3 to 0.6 s hardly a sample had arrived."""
    real = [0, 4800, 9600, 14400, 14500, 14600, 14700, 19500]
    looks = [{"at": n / 10, "voices": [["a", each]]} for n, each in enumerate(real)]
    heard = speech_at(looks)
    assert heard == [0.1, 0.2, 0.3, 0.7]
    assert longest(heard, 0.0, 0.8) == pytest.approx(0.4)


def test_a_picture_is_new_when_any_connection_has_decoded_one() -> None:
    """A connection made anew begins to count at nothing."""
    pictures = [[["a", 5, 640]], [["a", 5, 640]], [["b", 1, 640]], [["b", 1, 640]]]
    looks = [{"at": float(n), "pictures": each} for n, each in enumerate(pictures)]
    assert frames_at(looks) == [2.0]


def test_a_narrow_line_delays_and_then_drops() -> None:
    """1,000 bits take a second at 1 kbit/s; what would wait longer than the queue is dropped."""
    line, chance = Line(kbit=1, queue_ms=2000), random.Random(1)  # noqa: S311
    due = [line.due(125, 10.0, chance) for _ in range(5)]
    assert due == [11.0, 12.0, 13.0, None, None]
    assert line.counted == {"sent": 5, "lost": 0, "overflown": 2}
    assert line.due(125, 12.5, chance) == 14.0


def test_a_router_that_gives_other_ports_is_not_noticed_by_who_answers(lab: Lab) -> None:
    """What comes back to the new port reaches the old one."""
    lab.change("ab", port_shift=5)
    assert ask(lab, 5)["answered"] == 0  # the answers go to a port where nobody is
    lab.change("ba", port_shift=-5)
    assert ask(lab, 5)["answered"] == 1
    lab.change(port_shift=0)


def test_an_unknown_wish_is_refused() -> None:
    """A misspelt parameter does not pass for a good line."""
    with pytest.raises(ValueError, match="lost"):
        Line().change({"lost": 0.1})
