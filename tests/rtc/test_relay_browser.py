"""Real Chromium that may not send us UDP is in the call through coturn, over TLS."""

import pytest

from tests.rtc.browser_tools import run_scene


@pytest.mark.browser
def test_two_browsers_meet_by_turn_over_tls_alone() -> None:
    """Both decode the other's picture, and nothing of theirs went another way."""
    scene = run_scene("tests.rtc.relay_scene", turnserver="coturn")
    assert min(scene["frames"].values()) >= 40
    assert len(scene["ways"]) >= 4  # two pages, two connections each
    assert {tuple(each) for each in scene["ways"]} == {("relay", "tls")}
