"""Settings and secrets: read once, named when wrong, made once."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from storage.secrets import UnsafeSecret, secret
from storage.settings import BadSetting, Settings


def test_reading_settings_makes_nothing(folder: Path) -> None:
    """Not even the folder."""
    settings = Settings.from_env({"YANASHA_HOME": str(folder / "home")})
    assert settings.embedded_postgres
    assert settings.embedded_objects
    assert not (folder / "home").exists()


def test_children_read_the_same_settings(folder: Path) -> None:
    """What `to_env` gives, `from_env` takes."""
    settings = Settings.from_env(
        {
            "YANASHA_HOME": str(folder),
            "YANASHA_DOMAIN": "clinic.example.org",
            "YANASHA_ORIGINS": "https://other.example.org",
            "DATABASE_URL": "postgres://me:secret@db/yanasha",
            "S3_ENDPOINT": "https://s3.example.org",
            "S3_ACCESS_KEY": "key",
            "S3_SECRET_KEY": "secret",
            "YANASHA_OIDC_ISSUER": "https://id.example.org",
            "YANASHA_OIDC_CLIENT_ID": "yanasha",
            "YANASHA_SMTP_URL": "smtps://me:p%40ss@mail.example.org",
        }
    )
    assert Settings.from_env(settings.to_env()) == settings
    assert settings.oidc is not None
    assert not settings.embedded_postgres
    assert not settings.embedded_objects
    assert settings.secure_cookies
    assert settings.origins == ("https://clinic.example.org", "https://other.example.org")


def test_there_is_a_media_worker_for_each_core_unless_it_is_said_otherwise(folder: Path) -> None:
    """Each on a port of its own."""
    home = {"YANASHA_HOME": str(folder)}
    assert Settings.from_env(home).rtc_workers == os.cpu_count()
    assert Settings.from_env({**home, "YANASHA_RTC_WORKERS": "3"}).rtc_workers == 3
    for bad in ("0", "many", "33", "²"):
        with pytest.raises(BadSetting, match="YANASHA_RTC_WORKERS"):
            Settings.from_env({**home, "YANASHA_RTC_WORKERS": bad})
    with pytest.raises(BadSetting, match="YANASHA_RTC_PORT"):
        Settings.from_env({**home, "YANASHA_RTC_WORKERS": "2", "YANASHA_RTC_PORT": "65535"})


def test_settings_can_be_shown_without_a_password() -> None:
    """Nothing secret in the text form, which may reach a log."""
    settings = Settings.from_env(
        {
            "DATABASE_URL": "postgres://me:hunter2@db/yanasha",
            "S3_ENDPOINT": "https://s3.example.org",
            "S3_ACCESS_KEY": "key",
            "S3_SECRET_KEY": "hunter2",
        }
    )
    assert "hunter2" not in repr(settings)


def test_another_shell_finds_the_embedded_stores(folder: Path) -> None:
    """Two readers of one folder agree on passwords, ports and sockets."""
    one, other = (Settings.from_env({"YANASHA_HOME": str(folder)}) for _ in range(2))
    assert one.database_url == other.database_url
    assert one.s3_endpoint == other.s3_endpoint
    assert one.s3_secret_key == other.s3_secret_key
    assert len(set(one.object_ports.values())) == 10


def test_a_secret_is_made_once(folder: Path) -> None:
    """Many first callers at once get the same bytes; only the owner can read them."""
    with ThreadPoolExecutor(16) as pool:
        made = set(pool.map(lambda _: secret(folder, "demo"), range(64)))
    assert len(made) == 1
    assert len(made.pop()) == 32
    assert (folder / "secrets").stat().st_mode & 0o777 == 0o700
    assert (folder / "secrets/demo").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in (folder / "secrets").iterdir()] == ["demo"]


def test_a_secret_that_others_can_read_is_refused(folder: Path) -> None:
    """And the sentence says what to type."""
    secret(folder, "demo")
    path = folder / "secrets/demo"
    path.chmod(0o644)
    with pytest.raises(UnsafeSecret, match=f"run 'chmod 600 {path}'"):
        secret(folder, "demo")


def test_a_cut_secret_is_refused(folder: Path) -> None:
    """Half a key must not become the key."""
    secret(folder, "demo")
    (folder / "secrets/demo").write_bytes(b"short")
    with pytest.raises(UnsafeSecret, match="holds 5 bytes instead of 32"):
        secret(folder, "demo")


def test_a_mail_server_is_reached_over_tls_unless_it_is_this_machine() -> None:
    """A password and a letter never cross a network in the clear."""
    found = {
        url: Settings.from_env({"YANASHA_SMTP_URL": url}).smtp
        for url in (
            "smtps://me:p%40ss@mail.example.org",
            "smtp://mail.example.org",
            "smtp://127.0.0.1:25",
        )
    }
    places = [(one.port, one.tls, one.password) for one in found.values() if one]
    assert places == [(465, "implicit", "p@ss"), (587, "starttls", None), (25, "offered", None)]
    settings = Settings.from_env({"YANASHA_SMTP_URL": "smtps://me:hunter2@mail.example.org"})
    assert "hunter2" not in repr(settings)
    domain = Settings.from_env({"YANASHA_DOMAIN": "clinic.example.org"})
    assert domain.mail_from == "yanasha@clinic.example.org"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("YANASHA_SMTP_URL", "http://mail.example.org"),
        ("YANASHA_SMTP_URL", "smtp://"),
        ("YANASHA_SMTP_URL", "smtp://mail.example.org:port"),
        ("YANASHA_SMTP_URL", "smtp://mail.example.org/path"),
        ("YANASHA_MAIL_FROM", "nobody"),
        ("YANASHA_MAIL_FROM", "a@b\nBcc: c@d"),
    ],
)
def test_a_mail_setting_that_cannot_be_meant_is_refused_by_its_name(
    variable: str, value: str
) -> None:
    """The sentence names the variable."""
    with pytest.raises(BadSetting, match=variable):
        Settings.from_env({variable: value})
