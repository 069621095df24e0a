"""Settings of a signature service outside: what cannot be meant is refused by its name."""

from pathlib import Path

import pytest

from storage.bad_setting import BadSetting
from storage.outside_signer import OutsideSigner
from storage.settings import Settings
from tests.telemed.signing_service import Authority

URL = "https://sign.example.org/pades"


@pytest.fixture
def authorities(tmp_path: Path) -> Path:
    path = tmp_path / "ca.pem"
    path.write_bytes(Authority("A").pem)
    return path


def test_the_service_is_read_and_handed_on_and_its_word_is_shown_nowhere(
    tmp_path: Path, authorities: Path
) -> None:
    """Children read the same; the token is read from its file when it is needed."""
    token = tmp_path / "token"
    token.write_text("hunter2\n")
    settings = Settings.from_env(
        {
            "YANASHA_HOME": str(tmp_path),
            "YANASHA_SIGNER": URL,
            "YANASHA_SIGNER_CA": str(authorities),
            "YANASHA_SIGNER_TOKEN_FILE": str(token),
        }
    )
    assert settings.signer == OutsideSigner(URL, authorities, token)
    assert settings.signer.token == "hunter2"
    assert "hunter2" not in repr(settings)
    assert Settings.from_env(settings.to_env()) == settings
    assert OutsideSigner.from_env({}) is None


@pytest.mark.parametrize(
    "url",
    [
        "sign.example.org",
        "http://sign.example.org",
        "https://name:word@sign.example.org",
        "https://[",
        "https://sign.example.org:port",
    ],
)
def test_an_address_that_cannot_be_meant_is_refused(url: str, authorities: Path) -> None:
    """A digest and a token never cross a network in the clear."""
    environ = {"YANASHA_SIGNER": url, "YANASHA_SIGNER_CA": str(authorities)}
    with pytest.raises(BadSetting, match="YANASHA_SIGNER ") as refused:
        OutsideSigner.from_env(environ)
    assert "word" not in str(refused.value)


def test_authorities_are_asked_for_and_have_to_be_some(tmp_path: Path) -> None:
    """Whose signature is believed is never left open."""
    empty = tmp_path / "empty.pem"
    empty.touch()
    broken = tmp_path / "broken.pem"
    broken.write_text("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n")
    for given in ("", str(tmp_path / "nothing"), str(empty), str(broken)):
        with pytest.raises(BadSetting, match="YANASHA_SIGNER_CA"):
            OutsideSigner.from_env({"YANASHA_SIGNER": URL, "YANASHA_SIGNER_CA": given})
