"""What a room that is spread over workers has beside its seats: its pipes."""

import socket
import time
from collections.abc import Callable
from pathlib import Path

from rtc.fed import FedStage
from rtc.forward import Counters, Forwarder
from rtc.inlet import Inlet
from rtc.messages import RoomState
from rtc.outlet import Outlet
from rtc.pipe import SUFFIX
from rtc.stage import Stage

MOST_BRANCHES = 64  # of one room; a machine has a worker a core


class Spread:
    """Of a room that lives here: its outlets, none for most; of a branch: its inlet."""

    def __init__(self) -> None:
        self.outlets: list[Outlet] = []
        self._inlet: Inlet | None = None

    def branch(
        self,
        wanted: RoomState,
        pipes: Path | None,
        forwarder: Forwarder,
        fed: Callable[[FedStage], None],
    ) -> FedStage:
        """Makes the room a branch; `fed` is told each time the home has said what is there."""
        if wanted.presenter is None or pipes is None:
            raise ValueError("only a lesson has branches")
        stage = FedStage(wanted.presenter, wanted.codec)
        path = pipes / f"{wanted.home}{SUFFIX}"
        self._inlet = Inlet(path, wanted.room, stage, forwarder, fed)
        self._inlet.tick(time.monotonic(), reports=False)
        return stage

    def enter(self, sock: socket.socket, stage: Stage | None, counters: Counters) -> bool:
        """Lets a branch in; False: there is no lesson that lives here, or it has enough."""
        if stage is None or self._inlet is not None or len(self.outlets) >= MOST_BRANCHES:
            return False
        self.outlets.append(Outlet(sock, stage.tracks, counters, self._gone))
        self.show(stage, time.monotonic(), rates=True)
        return True

    def tick(self, stage: Stage | None, now: float, *, reports: bool) -> None:
        """Ten times a second."""
        if self._inlet is not None:
            self._inlet.tick(now, reports=reports)
        for outlet in self.outlets:
            outlet.repair(now)
        self.show(stage, now, rates=reports)

    def show(self, stage: Stage | None, now: float, *, rates: bool = False) -> None:
        """Tells the branches, or the home, what is otherwise than before."""
        for outlet in self.outlets:
            outlet.show(stage.holder if stage is not None else None, now, rates=rates)
        if self._inlet is not None:
            self._inlet.look(now)

    def close(self) -> None:
        """Closes every pipe."""
        for outlet in [*self.outlets]:
            self._gone(outlet)
        if self._inlet is not None:
            self._inlet.close()

    def _gone(self, outlet: Outlet) -> None:
        self.outlets.remove(outlet)
        outlet.close()
