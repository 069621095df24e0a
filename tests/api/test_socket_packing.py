"""What of a socket is packed, looked at on the wire."""

import pytest
from api_server import Server
from websockets.frames import Frame, Opcode


async def test_a_pages_texts_are_packed_and_frames_of_ecg_are_not(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with server.page("doctor") as page, server.recorder() as recorder:
        (packing,) = page.ws.protocol.extensions
        decode, came = packing.decode, set()

        def seen(frame: Frame, *, max_size: int | None = None) -> Frame:
            if frame.opcode in {Opcode.TEXT, Opcode.BINARY}:
                came.add((frame.opcode, frame.rsv1))
            return decode(frame, max_size=max_size)

        monkeypatch.setattr(packing, "decode", seen)
        await recorder.announce()
        await recorder.send(0)
        await page.say("ping", n=7)
        await page.of("pong", n=7)
        assert await page.frame() == recorder.frame_bytes(0)
        assert came == {(Opcode.TEXT, True), (Opcode.BINARY, False)}


async def test_a_recorders_socket_packs_nothing(server: Server) -> None:
    async with server.recorder() as recorder:
        assert recorder.ws.protocol.extensions == []
        await recorder.announce()
