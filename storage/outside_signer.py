"""The settings of a signature service outside, whose (qualified) signatures prints are to carry."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from storage.bad_setting import BadSetting


@dataclass(frozen=True)
class OutsideSigner:
    """Where the service is, the authorities its certificates come from, and our word to it."""

    url: str
    authorities: Path
    token_file: Path | None = None

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self | None:
        """Read the environment; None without an address. Raises BadSetting."""

        def text(name: str) -> str:
            return environ.get(name, "").strip()

        url = text("YANASHA_SIGNER")
        if not url:
            return None
        try:
            parts = urlsplit(url)
            host, _ = parts.hostname, parts.port
        except ValueError:
            parts, host = urlsplit(""), None
        here = parts.scheme == "http" and host in {"127.0.0.1", "localhost", "::1"}
        plain = parts.username is None and parts.password is None and not parts.fragment
        if not host or not (parts.scheme == "https" or here) or not plain:
            # Not shown: somebody may have put a password into it.
            raise BadSetting("YANASHA_SIGNER", "is not like https://sign.example.org/pades.")
        authorities = _file(environ, "YANASHA_SIGNER_CA")
        if authorities is None:
            raise BadSetting(
                "YANASHA_SIGNER_CA",
                "is missing, though YANASHA_SIGNER is set: the certificates (PEM) of the "
                "authorities whose signatures are taken.",
            )
        certificates_in(authorities)
        return cls(url, authorities, _file(environ, "YANASHA_SIGNER_TOKEN_FILE"))

    def to_env(self) -> dict[str, str]:
        """Give the variables from which `from_env` reads the same."""
        return {
            "YANASHA_SIGNER": self.url,
            "YANASHA_SIGNER_CA": str(self.authorities),
            "YANASHA_SIGNER_TOKEN_FILE": str(self.token_file or ""),
        }

    @property
    def token(self) -> str | None:
        """What the service knows us by."""
        return None if self.token_file is None else self.token_file.read_text().strip()


def certificates_in(path: Path) -> list[bytes]:
    """Give the certificates (DER) of a PEM file. Raises BadSetting."""
    # A library that nobody else who reads the settings has need of.
    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import Encoding  # noqa: PLC0415

    try:
        found = x509.load_pem_x509_certificates(path.read_bytes())
    except ValueError as error:
        raise BadSetting("YANASHA_SIGNER_CA", f"holds no certificate (PEM): {path}.") from error
    return [one.public_bytes(Encoding.DER) for one in found]


def _file(environ: Mapping[str, str], name: str) -> Path | None:
    given = environ.get(name, "").strip()
    if not given:
        return None
    path = Path(given).expanduser().absolute()
    if not path.is_file():
        raise BadSetting(name, f"is not a file: {path}.")
    return path
