"""Debian's Janus keeps the engine's protocol as our workers do, with raw clients on real transports."""

from pathlib import Path
from typing import Any

import pytest

from rtc.engine import EVERYTHING, chosen
from rtc.janus.link import JanusLink
from rtc.janus.page_sdp import BadOfferError, check
from rtc.link import MediaLink
from rtc.messages import TrackInfo
from storage.settings import Settings
from tests.rtc.browser_tools import run_scene


@pytest.fixture(scope="module")
def saw() -> dict[str, Any]:
    """A visit, a lesson, bad offers, strangers, and a killed Janus, played once."""
    return run_scene("tests.rtc.janus_scene", janus="janus")


def test_a_visit_flows_both_ways_through_restarts_and_reloads(saw: dict[str, Any]) -> None:
    """Voice and picture come; after ICE restarts, and after a page was closed and opened, again."""
    assert saw["visit"]["both_ways"]
    assert saw["visit"]["after_restarts"]
    assert saw["visit"]["after_coming_back"]


def test_a_revoked_kind_is_silent_within_half_a_second(saw: dict[str, Any]) -> None:
    """The page goes on sending; the kind that is still granted goes on arriving."""
    print(f"silent after {saw['visit']['silent_after_ms']} ms")
    assert saw["visit"]["silent_after_ms"] <= 500
    assert saw["visit"]["voice_went_on"]


def test_who_is_not_in_the_room_any_more_gets_nothing(saw: dict[str, Any]) -> None:
    assert saw["visit"]["dismissed_heard"] == 0


def test_who_is_put_out_is_out_whatever_waits(saw: dict[str, Any]) -> None:
    """He neither hears nor is heard half a second later, though his room is kept busy."""
    print(f"out after {saw['held_up_ms']} ms")
    assert saw["held_up_ms"] <= 500


def test_the_floor_moves_without_a_new_offer(saw: dict[str, Any]) -> None:
    """Two pupils are heard one after the other in one slot, and nobody hears himself."""
    lesson = saw["lesson"]
    assert lesson["asked_to_publish"] == [True, False, False]
    assert lesson["anna_heard"]
    assert lesson["boris_heard"]
    assert lesson["anna_heard_herself"] == 0
    assert lesson["offers_to_watch"] == [1, 1]


def test_who_speaks_is_told_until_he_loses_the_floor(saw: dict[str, Any]) -> None:
    """By the loudness the raw clients tell; nobody is told of as speaking without a grant."""
    spoke = saw["lesson"]["spoke"]
    assert [each for each in spoke if each is not None] == ["t", "b"]
    assert spoke[-1] is None


def test_nothing_flows_without_a_grant(saw: dict[str, Any]) -> None:
    """No picture of a pupil who may only speak, and nothing of who has lost the floor."""
    assert saw["lesson"]["anna_unasked_picture"] == 0
    assert saw["lesson"]["without_the_floor"] == 0


def test_a_page_cannot_send_what_it_was_not_asked_for(saw: dict[str, Any]) -> None:
    """A data channel, another kind, both directions, layers, nothing: refused before Janus hears."""
    refused = saw["bad_offers"]["refused"]
    assert set(refused) == {"data", "kinds", "both_ways", "layers", "nothing"}
    assert all(reasons == ["bad_answer"] for reasons in refused.values())


@pytest.mark.parametrize(
    "line", ["a=ssrc-group:SIM 1 2 3\r\n", "a=x\na=inactive\r\n"], ids=["layers", "hidden"]
)
def test_an_offer_is_read_as_janus_reads_it(line: str) -> None:
    """Layers in the words of old browsers, and lines that only we would see."""
    sdp = "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=sendonly\r\n"
    asked = [TrackInfo("0", "audio", "p")]
    assert check(sdp, asked) == {"0"}
    with pytest.raises(BadOfferError):
        check(sdp + line, asked)


def test_nobody_is_told_of_a_picture_that_a_page_does_not_have(saw: dict[str, Any]) -> None:
    """It is not asked for a section without a camera: others would wait for a frozen picture."""
    assert saw["without_a_camera"] == [True, True, False]


def test_janus_answers_nobody_but_us(saw: dict[str, Any]) -> None:
    """Not without the secret, not but on loopback, and no other user reads the secret."""
    assert saw["strangers"] == {"127.0.0.1": 403, "10.77.0.1": "refused"}
    assert saw["readable_by_others"] == []


def test_a_killed_janus_is_told_and_all_come_back(saw: dict[str, Any]) -> None:
    assert saw["up_without_janus"] is False
    assert saw["away"]
    assert saw["heard_again"]
    assert saw["back_after_s"] <= 5


def test_the_setting_chooses_the_engine_and_each_says_what_it_lacks(tmp_path: Path) -> None:
    def opened(engine: str) -> object:
        environ = {"YANASHA_HOME": str(tmp_path), "YANASHA_MEDIA_ENGINE": engine}
        link = chosen(Settings.from_env(environ))(lambda _: None, lambda _: None, lambda: None)
        return type(link), link.features

    assert opened("") == (MediaLink, EVERYTHING)
    assert opened("janus") == (JanusLink, frozenset({"speaker"}))
