"""The UI's files, as built into web/dist: small, so they are kept in memory, gzipped once."""

import gzip
import mimetypes
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from litestar import Request, Response
from litestar.exceptions import NotFoundException

DIST = Path(__file__).resolve().parent.parent / "web" / "dist"
# Vite puts a hash of the content into every name under assets/.
_FOR_EVER = "public, max-age=31536000, immutable"
_ASK_AGAIN = "no-cache"
_NOT_BUILT = (
    "The pages are not built yet. Run `make run`, or `npm ci && npm run build` in web/,"
    " then reload. The API itself is up.\n"
)
_PACKABLE = ("text/", "application/json", "application/manifest+json", "image/svg+xml")


@dataclass(frozen=True, slots=True)
class _File:
    body: bytes
    packed: bytes | None
    media_type: str
    cache_control: str


class Pages:
    """Files of the build; read again when index.html changes."""

    def __init__(self, root: Path = DIST) -> None:
        self.root = root
        self._files: dict[str, _File] = {}
        self._built_ns = 0

    def answer(self, path: str, *, packed: bool) -> Response[bytes | str]:
        """The file at `path`, a folder's `index.html`; 404, or 503 when nothing is built."""
        self._refresh()
        if not self._files:
            return Response(_NOT_BUILT, status_code=503, media_type="text/plain")
        file = self._files.get(path) or self._files.get(f"{path}/index.html".lstrip("/"))
        if file is None:
            raise NotFoundException
        headers = {"Cache-Control": file.cache_control}
        if file.packed:
            headers["Vary"] = "Accept-Encoding"
            if packed:
                headers["Content-Encoding"] = "gzip"
                return Response(file.packed, headers=headers, media_type=file.media_type)
        return Response(file.body, headers=headers, media_type=file.media_type)

    def _refresh(self) -> None:
        try:
            built_ns = (self.root / "index.html").stat().st_mtime_ns
        except OSError:
            self._files = {}
            return
        if built_ns != self._built_ns or not self._files:
            self._files = {
                str(path.relative_to(self.root)): _load(path, self.root)
                for path in sorted(self.root.rglob("*"))
                if path.is_file()
            }
            self._built_ns = built_ns


def _load(path: Path, root: Path) -> _File:
    body = path.read_bytes()
    media_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    if path.suffix == ".js":
        media_type = "text/javascript"
    packed = gzip.compress(body, mtime=0) if media_type.startswith(_PACKABLE) else None
    if packed and len(packed) > len(body):
        packed = None
    hashed = path.relative_to(root).parts[0] == "assets"
    return _File(body, packed, media_type, _FOR_EVER if hashed else _ASK_AGAIN)


def accepts_gzip(request: Request[Any, Any, Any]) -> bool:
    """Whether the client takes gzip."""
    return "gzip" in request.headers.get("Accept-Encoding", "")
