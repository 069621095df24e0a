"""What the settings name outside: a provider of identities, a service that signs prints."""

from typing import Final

from people.document_outside import Outside
from people.oidc import Provider
from storage.pdf_outside import SigningService
from storage.settings import Settings

CALLBACK: Final = "/api/v1/oidc/callback"


def provider_of(settings: Settings) -> Provider | None:
    """The provider that the settings name, with the one address to which it sends people back."""
    if settings.oidc is None:
        return None
    return Provider(
        settings.oidc.issuer,
        settings.oidc.client_id,
        settings.urls[0] + CALLBACK,
        client_secret=settings.oidc.client_secret,
    )


def outside_of(settings: Settings) -> Outside | None:
    """The signature service that the settings name."""
    if settings.signer is None:
        return None
    return Outside(SigningService(settings.signer), settings.urls[0])
