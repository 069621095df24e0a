"""The settings of an OpenID Connect provider whose accounts may be linked to people here."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from storage.bad_setting import BadSetting


@dataclass(frozen=True)
class OutsideProvider:
    """A provider, what we are called there, and the file with our secret there, if it gave one."""

    issuer: str
    client_id: str
    secret_file: Path | None = None

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self | None:
        """Read the environment; None without an issuer. Raises BadSetting."""

        def text(name: str) -> str:
            return environ.get(name, "").strip()

        issuer, client_id = text("YANASHA_OIDC_ISSUER"), text("YANASHA_OIDC_CLIENT_ID")
        if not issuer:
            return None
        url = urlsplit(issuer)
        here = url.scheme == "http" and url.hostname in {"127.0.0.1", "localhost"}
        if not url.hostname or not (url.scheme == "https" or here) or url.query or url.fragment:
            raise BadSetting(
                "YANASHA_OIDC_ISSUER", f"is not like https://id.example.org: {issuer!r}."
            )
        if not client_id:
            raise BadSetting(
                "YANASHA_OIDC_CLIENT_ID", "is missing, though YANASHA_OIDC_ISSUER is set."
            )
        given = text("YANASHA_OIDC_CLIENT_SECRET_FILE")
        secret_file = Path(given).expanduser().absolute() if given else None
        if secret_file is not None and not secret_file.is_file():
            raise BadSetting("YANASHA_OIDC_CLIENT_SECRET_FILE", f"is not a file: {secret_file}.")
        return cls(issuer, client_id, secret_file)

    def to_env(self) -> dict[str, str]:
        """Give the variables from which `from_env` reads the same."""
        return {
            "YANASHA_OIDC_ISSUER": self.issuer,
            "YANASHA_OIDC_CLIENT_ID": self.client_id,
            "YANASHA_OIDC_CLIENT_SECRET_FILE": str(self.secret_file or ""),
        }

    @property
    def client_secret(self) -> str | None:
        """What the file holds."""
        return None if self.secret_file is None else self.secret_file.read_text().strip()
