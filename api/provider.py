"""The outside provider of the settings, with the one address to which it sends people back."""

from typing import Final

from people.oidc import Provider
from storage.settings import Settings

CALLBACK: Final = "/api/v1/oidc/callback"


def provider_of(settings: Settings) -> Provider | None:
    """The provider that the settings name."""
    if settings.oidc is None:
        return None
    return Provider(
        settings.oidc.issuer,
        settings.oidc.client_id,
        settings.urls[0] + CALLBACK,
        client_secret=settings.oidc.client_secret,
    )
