"""Real Chromium publishes and watches through the worker; only loopback exists while it does."""

import pytest

from tests.rtc.browser_tools import run_scene


@pytest.fixture(scope="module")
def scene() -> dict[str, float]:
    """Two pages of a visit; what they saw, as numbers."""
    return run_scene("tests.rtc.browser_scene")


@pytest.mark.browser
def test_a_browser_decodes_what_another_publishes(scene: dict[str, float]) -> None:
    """Both pages decode at least two seconds of the other's picture."""
    assert scene["frames_doctor"] >= 40
    assert scene["frames_patient"] >= 40


@pytest.mark.browser
def test_a_browser_hears_the_other(scene: dict[str, float]) -> None:
    """Sound samples with energy arrive at both pages."""
    assert scene["loudness_doctor"] > 0.05
    assert scene["loudness_patient"] > 0.05


@pytest.mark.browser
def test_a_browser_survives_an_ice_restart(scene: dict[str, float]) -> None:
    """Frames go on under new credentials on the same connection."""
    assert scene["frames_after_restart"] >= 20
    assert scene["restarted_ufrag"] == 1


@pytest.mark.browser
def test_a_browser_gets_no_frame_without_a_grant(scene: dict[str, float]) -> None:
    """After the grant is taken, and what was under way has come, no packet arrives any more."""
    assert scene["packets_without_grant"] == 0
    assert scene["packets_refused"] > 20  # the publisher went on sending


@pytest.mark.browser
def test_a_reloaded_browser_is_seen_again(scene: dict[str, float]) -> None:
    """After a reload of the publisher's page the viewer's frames grow again."""
    assert scene["frames_after_reload"] >= 20
