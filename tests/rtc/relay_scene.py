"""Two Chromium pages that may go by TURN over TLS only, coturn as the house starts it, the worker."""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import msgspec
from playwright.async_api import Browser

from api.ice_servers import ice_servers
from ops.home import locked, prepare_home
from ops.supervisor import Supervisor
from ops.turn import turn_child
from rtc.worker import Worker
from storage.settings import Settings
from tests.ops.conftest import short_folder
from tests.ops.tls_pairs import make_pair
from tests.rtc.browser_scene import Scene, main, open_page

ENOUGH = 40
WAYS = """async () => {
  const found = [];
  for (const pc of Object.values(connections)) {
    const stats = await pc.getStats();
    for (const pair of stats.values()) {
      if (pair.type !== "candidate-pair" || !pair.nominated) continue;
      const local = stats.get(pair.localCandidateId);
      found.push([local.candidateType, local.relayProtocol]);
    }
  }
  return found;
}"""


@asynccontextmanager
async def coturn(host: str = "127.0.0.1") -> AsyncIterator[Settings]:
    """A running one, with a certificate nobody knows."""
    with short_folder() as folder:
        certificate, key = make_pair(folder)
        port = "443" if os.geteuid() == 0 else "5349"
        environ = {"YANASHA_HOME": str(folder), "YANASHA_HOST": host, "YANASHA_TURN": "1"}
        settings = Settings.from_env(
            {
                **environ,
                "YANASHA_TURN_TLS_PORT": port,
                "YANASHA_TURN_CERTIFICATE": certificate,
                "YANASHA_TURN_KEY": key,
            }
        )
        assert settings.turn
        prepare_home(settings)
        with locked(folder) as kids:
            supervisor = Supervisor(
                folder, [[turn_child(settings, settings.turn)]], kids, lambda _: None
            )
            try:
                await supervisor.start()
                yield settings
            finally:
                await supervisor.stop()


async def play(scene: Scene, _: Worker, browser: Browser, url: str) -> dict[str, Any]:
    """Both meet, by the last resort alone."""
    async with coturn() as settings:
        [server] = ice_servers(settings, datetime.now(UTC))
        last = msgspec.structs.replace(
            server, urls=[each for each in server.urls if each.startswith("turns:")]
        )
        servers = json.dumps([msgspec.to_builtins(last)])
        for name in ("doctor", "patient"):
            scene.pages[name] = await open_page(browser, url)
            await scene.pages[name].evaluate(
                f"way = {{ iceServers: {servers}, iceTransportPolicy: 'relay' }}"
            )
        began = time.monotonic()
        both: list[Any] = ["audio", "video"]
        scene.state(doctor=both, patient=both)
        for name in scene.pages:
            scene.join(name)
        seen, ways = {}, []
        for name, page in scene.pages.items():
            found = await scene.watch(name, lambda c: c["frames"] >= ENOUGH, f"frames of {name}")
            seen[name] = found["frames"]
            ways += await page.evaluate(WAYS)
        return {"frames": seen, "ways": ways, "took_s": time.monotonic() - began}


if __name__ == "__main__":
    asyncio.run(main(play, "--ignore-certificate-errors"))
