"""The protocol of docs/media.md, spoken by a client that has nothing of ours: scripts/join.py."""

import asyncio
import sys
from dataclasses import replace
from pathlib import Path

from api_faults import ROOT, program
from api_server import Server, free_port
from api_world import PASSWORD

from storage.settings import Settings

sys.path.insert(0, str(ROOT / "scripts"))

from join import Guest

HALF_A_SECOND = 25  # frames of 20 ms


async def test_two_clients_of_somebody_elses_hear_each_other_in_a_visit(
    settings: Settings, server: Server, tmp_path: Path
) -> None:
    """Signed in, a ticket, a socket, offers and answers, as written; aiortc's own handshake."""
    settings = replace(settings, rtc_port=free_port())
    async with (
        program(settings, "rtc", tmp_path / "log"),
        asyncio.timeout(60),
        server.client("doctor") as doctor,
        server.client() as patient,
    ):
        while not server.house.media.up:  # noqa: ASYNC110 - seen from outside
            await asyncio.sleep(0.02)
        who = {"login": "patient.test", "password": PASSWORD}
        (await patient.post("/api/v1/sign-in", json=who)).raise_for_status()
        room = f"visits/{server.world['visit']}"
        (await doctor.post(f"/api/v1/{room}/open")).raise_for_status()
        async with Guest(doctor, room) as one, Guest(patient, room) as other:
            voices = {
                one: (str(server.world["patient"]), "audio"),
                other: (str(server.world["doctor"]), "audio"),
            }
            while any(guest.decoded[voice] < HALF_A_SECOND for guest, voice in voices.items()):  # noqa: ASYNC110 - a client of somebody else's tells nobody
                await asyncio.sleep(0.02)
            assert set(one.decoded) == {voices[one]}
            assert set(other.decoded) == {voices[other]}
