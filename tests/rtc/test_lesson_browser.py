"""Real Chromium teaches and learns in H264 through the worker.

Debian's chromium 156 takes both profiles, 42e01f for the camera (102) and 42e028 for the screen (104),
and answers both with 42e01f, the level of its own decoder; level-asymmetry-allowed=1 lets it send
1920x1080 on 104 all the same, and its viewers decode that.
"""

from typing import Any

import pytest

from tests.rtc.browser_tools import run_scene
from tests.rtc.lesson_scene import ENOUGH


@pytest.fixture(scope="module")
def scene() -> dict[str, Any]:
    """A teacher's and two pupils' pages; what they saw."""
    return run_scene("tests.rtc.lesson_scene")


@pytest.mark.browser
def test_a_pupil_decodes_camera_and_screen(scene: dict[str, Any]) -> None:
    """Both pictures of the teacher are decoded, each from its own payload type."""
    assert scene["camera"]["frames"] >= ENOUGH
    assert scene["screen"]["frames"] >= ENOUGH
    assert scene["camera"]["codec"].startswith("102 video/H264")
    assert scene["screen"]["codec"].startswith("104 video/H264")
    assert scene["camera"]["width"] in {240, 480, 960}  # the larger layers come up one by one
    assert scene["screen"]["width"] == 1920


@pytest.mark.browser
def test_a_viewer_changes_between_layers_in_one_stream(scene: dict[str, Any]) -> None:
    """Large, small and large again: each is decoded, and it stands no longer than another's."""
    large, small, again = scene["layers"]
    assert [each["width"] for each in scene["layers"]] == [960, 240, 960]
    assert small["frames"] >= large["frames"] + ENOUGH
    assert again["frames"] >= small["frames"] + ENOUGH
    frozen_s = again["frozen_s"] - large["frozen_s"]
    assert frozen_s < 1 + again["other_frozen_s"] - large["other_frozen_s"]


@pytest.mark.browser
def test_a_floor_that_moves_is_seen_by_all_without_an_offer(scene: dict[str, Any]) -> None:
    """The slot's frames grow with each holder, and also at one who held it in between."""
    assert scene["floor_friend"] >= 2 * ENOUGH
    assert scene["floor_at_friend"] >= ENOUGH
    assert scene["offers_to_friend"] == 1  # his own publish connection


@pytest.mark.browser
def test_chromium_takes_both_profiles(scene: dict[str, Any]) -> None:
    """What the docstring above says was answered is still answered."""
    own = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"
    assert scene["answered"] == [["102", own], ["104", own]]
