"""Grants, presence and the life of transports, as the API steers and sees them."""

import time

from rtc import transport as transports
from rtc.messages import Member, RoomState
from rtc.track import MAX_SOURCES
from rtc.worker import Worker
from tests.rtc.media_house import ROOM, MediaHouse, both, watcher
from tests.rtc.raw_client import RawPage, RawTransport, Source


async def couple(house: MediaHouse) -> tuple[RawTransport, RawTransport, int]:
    """The publisher's transport, the viewer's, and the video's SSRC at the viewer."""
    house.state(both("amina"), both("timur"))
    publish = await house.join("amina").publishing()
    subscribe, ssrc = await house.join("timur").watching("amina", "video")
    await house.until(lambda: house.presence("timur") == (True, True, True))
    return publish, subscribe, ssrc


async def test_without_a_grant_nothing_arrives(house: MediaHouse, worker: Worker) -> None:
    """After the grant is taken not one packet of the track reaches a viewer."""
    publish, subscribe, ssrc = await couple(house)
    video, audio = Source("video"), Source("audio")
    publish.send_rtp(video.next(key=True))
    await subscribe.until(lambda: subscribe.received[ssrc].count == 1)
    house.state(Member("amina", ["audio"], subscribe=True), both("timur"))
    await house.until(lambda: house.presence("amina") == (True, True, False))
    dropped = worker.port.counters.dropped_no_grant
    for _ in range(50):
        publish.send_rtp(video.next())
    audio_ssrc = subscribe.ssrc_of["amina", "audio"]
    publish.send_rtp(audio.next())  # sent after the video: once it is here, the video was refused
    await subscribe.until(lambda: subscribe.received[audio_ssrc].count == 1)
    assert subscribe.received[ssrc].count == 1
    assert worker.port.counters.dropped_no_grant - dropped == 50


async def test_a_grant_given_back_goes_on_without_a_jump(house: MediaHouse) -> None:
    """Media returns with the next sequence number, not with a gap as long as the silence."""
    publish, subscribe, ssrc = await couple(house)
    video = Source("video", sequence=10)
    publish.send_rtp(video.next(key=True))
    await subscribe.until(lambda: subscribe.received[ssrc].count == 1)
    house.state(watcher("amina"), both("timur"))
    await house.until(lambda: house.presence("amina") == (True, False, False))
    publish.send_rtp(video.next())
    video.sequence += 3000
    house.state(both("amina"), both("timur"))
    await house.until(lambda: house.presence("amina") == (True, True, True))
    publish.send_rtp(video.next(key=True))
    await subscribe.until(lambda: subscribe.received[ssrc].count == 2)
    assert subscribe.received[ssrc].sequences == [11, 12]


async def test_muting_is_no_change_of_the_source(house: MediaHouse) -> None:
    """However often a member mutes himself, his one stream goes on."""
    publish, subscribe, ssrc = await couple(house)
    video = Source("video", sequence=10)
    for n in range(100):
        house.state(watcher("amina"), both("timur"))
        house.state(both("amina"), both("timur"))
        await house.stats()  # the link keeps order: the worker has taken both states
        publish.send_rtp(video.next(key=True))
        await subscribe.until(lambda: subscribe.received[ssrc].count == n + 1)  # noqa: B023
    assert house.failures() == []
    assert subscribe.received[ssrc].sequences == list(range(11, 111))


async def test_a_member_whose_ssrc_keeps_changing_is_cut_off(house: MediaHouse) -> None:
    """MAX_SOURCES streams are taken, also with mutes in between; the next closes the transport."""
    publish, subscribe, ssrc = await couple(house)
    for n in range(MAX_SOURCES):
        house.state(watcher("amina"), both("timur"))
        house.state(both("amina"), both("timur"))
        await house.stats()
        publish.send_rtp(Source("video", ssrc=n + 1).next(key=True))
        await subscribe.until(lambda: subscribe.received[ssrc].count == n + 1)  # noqa: B023
    assert house.failures() == []
    publish.send_rtp(Source("video", ssrc=MAX_SOURCES + 1).next(key=True))
    await house.until(lambda: bool(house.failures()))
    assert house.failures()[0].reason == "too_many_sources"
    assert house.failures()[0].transport == publish.id


async def test_an_older_state_is_ignored(house: MediaHouse) -> None:
    """A late state with a lower version takes no grant away."""
    await couple(house)
    house.link.send(RoomState(ROOM, house.version - 1, [watcher("amina")]))
    await house.stats()
    assert house.presence("amina") == (True, True, True)


async def test_a_member_taken_out_is_cut_off(house: MediaHouse, worker: Worker) -> None:
    """Closing the member's row ends his transports, and the viewer's m-line goes quiet."""
    await couple(house)
    house.state(both("timur"))
    timur = house.pages["timur"]
    await timur.until(lambda: timur.offers[-1].tracks == [] and len(timur.offers) > 2)
    assert timur.offers[-1].sdp.count("a=inactive") == 2
    assert house.presence("amina") is None
    assert {each.direction for each in worker.rooms.rooms[ROOM].transports} <= {
        "publish",
        "subscribe",
    }
    assert len(worker.rooms.rooms[ROOM].transports) == 2


async def test_an_empty_state_closes_the_room(house: MediaHouse, worker: Worker) -> None:
    """No members, no room, and a later state of lower version does not bring it back."""
    await couple(house)
    house.state()
    await house.stats()
    house.link.send(RoomState(ROOM, 1, [both("amina")]))
    stats = await house.stats()
    assert (stats.rooms, stats.transports) == (0, 0)
    assert worker.port.sizes == (0, 0)


async def test_lines_are_used_again_by_those_who_come_later(house: MediaHouse) -> None:
    """When one goes and another comes, the offer does not grow."""
    house.state(both("a"), both("b"), both("viewer"))
    viewer = house.join("viewer")
    await house.join("a").publishing()
    await viewer.watching("a", "video")
    house.state(both("b"), both("viewer"))
    await viewer.until(lambda: viewer.offers[-1].tracks == [])
    await house.join("b").publishing()
    await viewer.watching("b", "video")
    assert viewer.offers[-1].sdp.count("m=") == 2
    assert {each.member for each in viewer.offers[-1].tracks} == {"b"}


async def test_a_page_that_says_goodbye_is_gone_at_once(house: MediaHouse) -> None:
    """Closing the browser's connection is told as peer_closed and in presence."""
    await couple(house)
    await house.pages["amina"].close()
    await house.until(lambda: len(house.failures()) >= 1)
    await house.until(lambda: (house.presence("amina") or (True,))[1:] == (False, False))
    assert {each.reason for each in house.failures()} == {"peer_closed"}


async def test_a_silent_transport_is_closed(house: MediaHouse, worker: Worker) -> None:
    """A peer that is not heard of for the consent time is expired."""
    await couple(house)
    subscribed = next(
        each for each in worker.rooms.rooms[ROOM].transports if each.direction == "subscribe"
    )
    subscribed.heard_at -= transports.CONSENT_S + 1
    await house.until(lambda: bool(house.failures()))
    assert house.failures()[0].reason == "expired"
    assert house.failures()[0].transport == subscribed.id


async def test_a_resumed_join_keeps_its_transports(house: MediaHouse, worker: Worker) -> None:
    """After a lost signalling socket the page resumes, and no new offer is made."""
    publish, subscribe, ssrc = await couple(house)
    timur = house.pages["timur"]
    ids = {each.id for each in worker.rooms.rooms[ROOM].transports}
    count = len(timur.offers)
    house.join("timur", resume=tuple(timur.transports))
    await house.stats()
    assert {each.id for each in worker.rooms.rooms[ROOM].transports} == ids
    assert len(timur.offers) == count
    publish.send_rtp(Source("video").next(key=True))
    await subscribe.until(lambda: subscribe.received[ssrc].count == 1)


async def test_a_viewer_who_was_away_is_told_the_offer_he_missed(
    house: MediaHouse, worker: Worker
) -> None:
    """The publisher reloads while the viewer's socket is lost; the viewer resumes and sees him."""
    _, subscribe, ssrc = await couple(house)
    timur = house.pages.pop("timur")  # offers to him are lost from here on
    again = await house.join("amina").publishing()
    await house.until(lambda: house.presence("amina") == (True, True, True))
    seat = worker.rooms.rooms[ROOM].seats["timur"]
    assert seat.offered
    assert seat.stale
    count = len(timur.offers)
    house.pages["timur"] = timur
    house.join("timur", resume=tuple(timur.transports))
    await timur.until(lambda: len(timur.offers) > count)
    assert {each.member for each in timur.offers[-1].tracks} == {"amina"}
    await house.stats()  # the link keeps order: the worker has taken timur's answer
    again.send_rtp(Source("video").next(key=True))
    await subscribe.until(lambda: subscribe.received[ssrc].count == 1)


async def test_a_second_join_replaces_the_first(house: MediaHouse, worker: Worker) -> None:
    """Another tab of the same member takes over; the first one's transports are closed."""
    await couple(house)
    first = house.pages["timur"]
    second = house.join("timur")
    await second.watching("amina", "video")
    after = {each.id for each in worker.rooms.rooms[ROOM].transports}
    assert len(after) == 4
    assert not after & set(first.transports)


async def test_an_ice_restart_moves_a_peer_to_his_new_address(house: MediaHouse) -> None:
    """New credentials, a new socket, the same DTLS: media goes on."""
    publish, subscribe, ssrc = await couple(house)
    old_port, old_offer = subscribe.local[1], subscribe.offer
    house.restart("timur", subscribe.id)
    timur = house.pages["timur"]
    await timur.until(lambda: subscribe.offer != old_offer)
    await subscribe.open()
    await subscribe.check()
    publish.send_rtp(Source("video").next(key=True))
    await subscribe.until(lambda: subscribe.received[ssrc].count == 1)
    assert subscribe.local[1] != old_port


async def test_old_credentials_stay_valid_during_a_restart(house: MediaHouse) -> None:
    """Checks under the former user fragment are still answered until the restart after."""
    _, subscribe, _ = await couple(house)
    timur = house.pages["timur"]
    before = next(each for each in timur.offers if each.transport == subscribe.id)
    house.restart("timur", subscribe.id)
    await timur.until(lambda: timur.offers[-1].sdp != before.sdp)
    subscribe.take(before)
    await subscribe.check()


async def test_a_grant_that_comes_later_brings_an_offer(house: MediaHouse) -> None:
    """A pupil who is called to speak is offered a publish transport at once."""
    house.state(watcher("pupil"))
    pupil = house.join("pupil")
    await house.stats()
    assert pupil.offers == []
    house.state(both("pupil"))
    await pupil.publishing()
    await house.until(lambda: house.presence("pupil") == (True, True, True))


async def test_a_bad_answer_fails_its_transport_only(house: MediaHouse) -> None:
    """Nonsense instead of SDP is told as bad_answer."""
    house.state(both("amina"))
    page = RawPage("amina", lambda transport, _: house.answer("amina", transport, "v=0\r\nhello"))
    house.join_as(page)
    await house.until(lambda: bool(house.failures()))
    assert house.failures()[0].reason == "bad_answer"


async def test_a_wrong_certificate_is_refused(house: MediaHouse) -> None:
    """A client whose certificate is not the one in the answer gets no media."""
    house.state(both("amina"))

    def forge(transport: str, sdp: str) -> None:
        at = sdp.index("sha-256 ") + len("sha-256 ")
        other = "00:11" if not sdp.startswith("00:11", at) else "22:33"
        digest = sdp[at : at + 95]
        house.answer("amina", transport, sdp.replace(digest, other + digest[5:]))

    page = RawPage("amina", forge)
    house.join_as(page)
    await house.until(lambda: bool(house.failures()))
    assert house.failures()[0].reason == "dtls"
    assert house.presence("amina") in {(False, False, False), None}


async def test_a_state_that_changes_nothing_is_answered_with_the_presence(
    house: MediaHouse,
) -> None:
    """An API that has just started learns who is there from the answer to its first state."""
    await couple(house)
    house.heard.clear()
    house.state(both("amina"), both("timur"))
    await house.until(lambda: house.presence("amina") == (True, True, True))


async def test_a_room_that_stumbles_holds_up_no_other(house: MediaHouse, worker: Worker) -> None:
    """A mistake in one room's tick ends with that room."""
    house.state(both("amina"))
    house.state(both("timur"), room="visit-2")
    await house.stats()
    first, second = worker.rooms.rooms.values()
    ticked: list[float] = []
    first.tick = lambda _now, **_: 1 / 0  # type: ignore[method-assign,assignment,return-value]
    second.tick = lambda now, **_: ticked.append(now)  # type: ignore[method-assign]
    worker.rooms.tick(1.0)
    assert ticked == [1.0]


async def test_a_picture_paused_for_long_is_seen_after_a_reload(
    house: MediaHouse, worker: Worker
) -> None:
    """The viewer has missed half a circle of numbers: without a bridge SRTP refuses all as old."""
    publish, subscribe, ssrc = await couple(house)
    viewer = worker.rooms.rooms[ROOM].seats["timur"].subscribe
    assert viewer is not None
    viewer.rate = None  # the test pauses
    leg, got, source = viewer.watched[ssrc], subscribe.received[ssrc], Source("video")
    publish.send_rtp(source.next(key=True))
    await subscribe.until(lambda: got.count == 1)
    leg.want(None, time.monotonic())
    for _ in range(4):
        source.sequence += 0x2800
        publish.send_rtp(source.next())
    await house.stats_until(lambda stats: stats.packets_in == 5)
    leg.want(leg.track.top, time.monotonic())
    publish.send_rtp(source.next(key=True))
    await subscribe.until(lambda: got.count == 2)
    leg.want(None, time.monotonic())
    again, timur = await house.join("amina").publishing(), house.pages["timur"]
    await house.until(lambda: house.presence("amina") == (True, True, True))
    await timur.until(lambda: len(timur.offers) >= 3 and "a=sendonly" in timur.offers[-1].sdp)
    await house.stats()
    again.send_rtp(Source("video").next(key=True, size=333))
    await subscribe.until(lambda: len(got.packets[-1]) == 12 + 333)


async def test_a_screen_in_a_visit_is_a_track_of_its_own(house: MediaHouse) -> None:
    """It travels beside the camera, and stops with its own grant while the camera goes on."""
    showing = Member("amina", ["audio", "video", "screen"], subscribe=True)
    house.state(showing, both("timur"))
    publish = await house.join("amina", screen=True).publishing()
    subscribe, screen_ssrc = await house.join("timur").watching("amina", "screen")
    camera_ssrc = subscribe.ssrc_of["amina", "video"]
    screen, camera = Source("screen"), Source("video")
    publish.send_rtp(screen.next(key=True))
    publish.send_rtp(camera.next(key=True))
    await subscribe.until(lambda: subscribe.received[screen_ssrc].count == 1)
    await subscribe.until(lambda: subscribe.received[camera_ssrc].count == 1)
    house.state(both("amina"), both("timur"))
    await house.until(lambda: not getattr(house.seen("amina"), "screen", True))
    publish.send_rtp(screen.next(key=True))
    publish.send_rtp(camera.next())
    await subscribe.until(lambda: subscribe.received[camera_ssrc].count == 2)
    assert subscribe.received[screen_ssrc].count == 1
    assert len(house.pages["timur"].offers[-1].tracks) == 3


async def test_a_page_that_shows_no_screen_is_not_asked_for_one(house: MediaHouse) -> None:
    """An older page is offered what it knows, whatever its member may do."""
    house.state(Member("amina", ["audio", "video", "screen"], subscribe=True), both("timur"))
    page = house.join("amina")
    await page.publishing()
    assert [each.kind for each in page.offers[0].tracks] == ["audio", "video"]
