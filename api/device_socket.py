"""/ws/device: a recorder's frames in, acknowledgements out, each after the commit.

A frame from an impossible time stays impossible however often it is sent, so its refusal is final:
the good frames around it are stored and acknowledged, then the socket closes with REFUSED.
"""

import asyncio
from contextlib import suppress
from functools import partial
from uuid import UUID

import msgspec
from litestar import websocket
from litestar.di import NamedDependency
from sqlalchemy.ext.asyncio import AsyncSession

from api import live, sockets
from api.house import House
from api.live import Close, Tab
from api.logs import log
from api.recorders import Recorder
from api.socket_messages import DeviceHello, DeviceProblem, Ready, Stored
from api.socket_wire import wire_of
from api.sockets import GONE, Ended, Socket
from devices.frames import EcgFrame, MalformedFrame, decode
from people.device_tokens import KnownDevice, device_alive, device_of
from people.policy import Act
from people.refused import NotSignedIn
from telemed.ecg import FrameRefused, open_stream

# Close code of a refusal that sending again cannot mend; as HTTP's 422.
REFUSED = 4422

_encode = msgspec.json.Encoder().encode


@websocket("/ws/device", act=Act.SEND_ECG, hello_names_actor=True)
async def device_socket(socket: Socket, house: NamedDependency[House]) -> None:
    """A recorder's socket."""
    why = Close.GONE
    try:
        hello = await sockets.open_socket(socket, house, DeviceHello)
        await _Recorder(socket, house, hello).run()
    except Ended as end:
        why = end.why
        await _tell(socket, DeviceProblem(code=end.code))
    except FrameRefused as refused:
        await _tell(socket, DeviceProblem(code=refused.params["reason"]))
        log.info("socket closed", route="/ws/device", close_code=REFUSED)
        with suppress(*GONE, RuntimeError):
            await socket.close(REFUSED)
        return
    except GONE:
        pass
    except Exception as error:  # noqa: BLE001 - whatever it was, the recorder is told and retries
        failed = sockets.ended_by(error)
        why = failed.why
        await _tell(socket, DeviceProblem(code=failed.code))
    await sockets.close(socket, why, route="/ws/device")


async def _tell(socket: Socket, message: DeviceProblem) -> None:
    try:
        await socket.send_data(_encode(message), mode="text")
    except (*GONE, RuntimeError):
        return


async def _require_alive(db: AsyncSession, device_id: UUID) -> None:
    if not await device_alive(db, device_id):
        raise NotSignedIn


class _Recorder:
    """One connected recorder."""

    def __init__(self, socket: Socket, house: House, hello: DeviceHello) -> None:
        self.socket = socket
        self.house = house
        self.hello = hello
        self.tab = Tab()
        self.wire = wire_of(socket)

    async def run(self) -> None:
        """Announce the stream, then store frames until the socket ends."""
        now = self.house.clock()
        async with self.house.transaction() as db:
            device = await device_of(db, self.hello.token, now)
        # Heard of from here on; what came before is seen by the next look.
        self.house.live.join(self.tab, [live.device(device.id)])
        try:
            async with self.house.transaction() as db:
                await _require_alive(db, device.id)
                info = await open_stream(db, device, self.hello.stream, now)
            await self.house.ecg.loaded.wait()
            self.house.ecg.open(device.person_id, self.hello.stream)
            try:
                await self._serve(device, info.last_sequence)
            finally:
                self.house.ecg.close(self.stream)
        finally:
            self.house.live.leave(self.tab)
        if self.tab.ended:
            raise Ended(self.tab.ended, _CODES.get(self.tab.ended, "internal"))

    async def _serve(self, device: KnownDevice, stored: int) -> None:
        whose, wire = device.person_id, self.wire
        recorder = Recorder(device.id, self.tab, self._acknowledge, person_id=whose, wire=wire)
        self.tab.tell(_encode(Ready(stored=stored)))
        self.house.recorders.join(recorder)
        try:
            await sockets.first_ended(
                asyncio.create_task(self._read(recorder)),
                asyncio.create_task(self._mend(recorder)),
                asyncio.create_task(sockets.send_out(self.socket, self.tab)),
            )
        finally:
            if self.wire is not None:
                self.wire.deafen()
            await self.house.recorders.leave(recorder)

    async def _read(self, recorder: Recorder) -> None:
        hear = partial(self._heard, recorder)
        if self.wire is not None:
            self.wire.listen(hear)
        while True:
            hear(await sockets.receive(self.socket))
            await recorder.room()

    def _heard(self, recorder: Recorder, data: str | bytes) -> None:
        if recorder.trouble.done() or self.tab.ended is not None:
            return
        try:
            frame = self._frame(data)
        except Ended as end:
            recorder.fail([], end)
        else:
            self.house.recorders.put(recorder, frame)

    def _frame(self, data: str | bytes) -> EcgFrame:
        try:
            frame = decode(data.encode() if isinstance(data, str) else data)
        except MalformedFrame as bad:
            raise Ended(Close.PROTOCOL, "malformed_body") from bad
        if frame.stream != self.stream:
            raise Ended(Close.FORBIDDEN, "forbidden")
        return frame

    @property
    def stream(self) -> UUID:
        """The stream this socket announced."""
        return self.hello.stream.stream

    async def _mend(self, recorder: Recorder) -> None:
        """Wait for trouble: store what can be stored of a refused batch, say so, and raise."""
        batch, error = await recorder.trouble
        if not isinstance(error, FrameRefused):
            raise error
        answers = await asyncio.gather(
            *(self.house.frames.submit([item]) for item in batch), return_exceptions=True
        )
        recorder.acknowledge([o for a in answers if not isinstance(a, BaseException) for o in a])
        recorder.tell()
        # The sender ends with this socket's other tasks: what it has not sent is sent here.
        while (message := self.tab.take_message()) is not None:
            await self.socket.send_data(message, mode="text")
        errors = [answer for answer in answers if isinstance(answer, BaseException)]
        # A store that went away meanwhile is worth another attempt, a refusal is not.
        raise next((one for one in errors if not isinstance(one, FrameRefused)), error)

    def _acknowledge(self, stored: int) -> None:
        message, wire = _encode(Stored(sequence=stored)), self.wire
        if wire is not None and wire.free and not self.tab.waiting:
            wire.write(wire.framed(message, text=True))
        else:
            self.tab.tell(message)


_CODES = {Close.NOT_SIGNED_IN: "not_signed_in", Close.FORBIDDEN: "forbidden", Close.BUSY: "busy"}
ROUTES = [device_socket]
