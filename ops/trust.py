"""The page that explains trusting a LAN's own authority, in three languages, without script.

Caddy serves it over plain HTTP too: whoever needs it cannot open an https page yet. The words are
catalogues of web/src/i18n, the look is web/public/trust/trust.css.
"""

import hashlib
import json
from html import escape
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from ops.users import owned_file, owned_folder
from storage.settings import Settings

LANGUAGES = {"ru": "Русский", "tt": "Татарча", "en": "English"}
DEVICES = ("android", "ios", "windows", "macos", "linux", "firefox")
_WEB = Path(__file__).resolve().parents[1] / "web"
_MARK = (
    '<svg class="mark" viewBox="0 0 64 64" aria-hidden="true"><path class="leaf" d="M30 60C13 58 5 '
    '45 6 28 6.5 18 11 9 18 3c3 9 14 16 14 32 0 9-1 17-2 25z"/><path class="honey" d="M36 60c0-6 '
    '0-12 .5-17C37.5 31 45 26 49 17c6 5 9 12 9 20 0 12-8 21-22 23z"/></svg>'
)


def authority(folder: Path) -> x509.Certificate:
    """Read the root certificate that Caddy made in its folder. Raises OSError before it did."""
    path = folder / "data/pki/authorities/local/root.crt"
    return x509.load_pem_x509_certificate(path.read_bytes())


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256 of the certificate as people compare it: AB:CD:…."""
    return hashlib.sha256(certificate.public_bytes(Encoding.DER)).digest().hex(":").upper()


def write_pages(settings: Settings, folder: Path, uid: int | None) -> None:
    """Write what Caddy serves below /trust: the pages, their look, the certificate."""
    certificate = authority(folder)
    place = owned_folder(folder / "trust", uid)
    owned_file(place / "yanasha.crt", certificate.public_bytes(Encoding.DER), uid)
    owned_file(place / "trust.css", (_WEB / "public/trust/trust.css").read_bytes(), uid)
    for language in LANGUAGES:
        page = _page(language, certificate, settings.urls)
        owned_file(place / f"{language}.html", page.encode(), uid)


def trust_lines(settings: Settings) -> list[str]:
    """Where devices of a LAN learn to trust it, and what people compare there; else nothing."""
    if not settings.lan:
        return []
    return [
        "A device that does not trust it yet opens first:",
        *(f"  {url}" for url in settings.trust_urls),
        "and compares the SHA-256 fingerprint of the certificate:",
        f"  {fingerprint(authority(settings.home / 'caddy'))}",
    ]


def words(language: str) -> dict[str, str]:
    """Give the catalogue of this page."""
    found: dict[str, str] = json.loads((_WEB / f"src/i18n/{language}/trust.json").read_text())
    return found


def _page(language: str, certificate: x509.Certificate, urls: tuple[str, ...]) -> str:
    common_name = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
    facts = {"name": str(common_name), "until": f"{certificate.not_valid_after_utc:%d.%m.%Y}"}
    say = {key: escape(text.format(**facts)) for key, text in words(language).items()}
    here = {language: ' aria-current="page"'}
    others = "".join(
        f'<li><a href="/trust/{one}" lang="{one}"{here.get(one, "")}>{name}</a></li>'
        for one, name in LANGUAGES.items()
    )
    devices = "".join(
        f"<details><summary>{say[device]}</summary><ol>"
        + "".join(f"<li>{text}</li>" for key, text in say.items() if key.startswith(f"{device}_"))
        + "</ol></details>"
        for device in DEVICES
    )
    addresses = "".join(f'<li><a href="{escape(url)}">{escape(url)}</a></li>' for url in urls)
    return f"""<!doctype html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="stylesheet" href="/trust/trust.css">
<title>{say["title"]} · Янәшә</title>
</head>
<body>
<header>{_MARK}
<nav aria-label="{say["languages"]}"><ul>{others}</ul></nav></header>
<main>
<h1>{say["title"]}</h1>
<p>{say["why"]}</p>
<h2>{say["check"]}</h2>
<code class="fingerprint">{fingerprint(certificate)}</code>
<p>{say["check_how"]}</p>
<p class="warning">{say["check_warn"]}</p>
<h2>{say["take"]}</h2>
<p><a class="take" href="/trust/yanasha.crt" download>{say["take_go"]}</a></p>
<p>{say["take_what"]}</p>
<h2>{say["install"]}</h2>
{devices}
<h2>{say["done"]}</h2>
<ul class="addresses">{addresses}</ul>
<p>{say["done_how"]}</p>
<p class="soft">{say["leave"]}</p>
</main>
</body>
</html>
"""
