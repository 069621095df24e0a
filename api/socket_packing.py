"""Which messages of a socket are packed (RFC 7692): the texts of pages, nothing else.

Texts repeat themselves: beats and vitals pack to a tenth at 10 us each, and chat, slides and the
welcome after a break matter on weak links. A frame of ECG packs to half, at 36 us for each frame
and page, a fifth of all that is done with it; unpacked a lead needs 7 kbit/s.
"""

from collections.abc import Sequence

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.extensions import Extension
from websockets.extensions.base import ServerExtensionFactory
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.typing import ExtensionParameter

# Recorders' frames come and go as they are.
UNPACKED = "/ws/device"


class TextsOnly(Extension):
    """permessage-deflate that lets our own binary messages be, as each message may choose."""

    def __init__(self, whole: Extension) -> None:
        self.name = whole.name
        self.decode = whole.decode  # type: ignore[method-assign]
        self._encode = whole.encode

    def encode(self, frame: Frame) -> Frame:
        """Pack a text."""
        return frame if frame.opcode is Opcode.BINARY else self._encode(frame)


class _Offered(ServerExtensionFactory):
    """Agrees to permessage-deflate as a page asks for it."""

    def __init__(self) -> None:
        # As uvicorn's own: 32 kB a socket instead of 256.
        self._whole = ServerPerMessageDeflateFactory(
            server_max_window_bits=12, client_max_window_bits=12, compress_settings={"memLevel": 5}
        )
        self.name = self._whole.name

    def process_request_params(
        self, params: Sequence[ExtensionParameter], accepted_extensions: Sequence[Extension]
    ) -> tuple[list[ExtensionParameter], Extension]:
        """Give what is answered to the page, and what packs from then on."""
        answered, whole = self._whole.process_request_params(params, accepted_extensions)
        return answered, TextsOnly(whole)


class Protocol(WebSocketsSansIOProtocol):
    """uvicorn's sockets, each packing what its path says."""

    def handle_connect(self, event: Request) -> None:
        """Say what is packed before the handshake is answered."""
        if event.path.partition("?")[0] != UNPACKED:
            self.conn.available_extensions = [_Offered()]
        super().handle_connect(event)
