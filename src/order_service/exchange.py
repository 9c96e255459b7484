"""The venue that EXCHANGE names, as the settings see it."""

from __future__ import annotations

from msgspec.structs import replace

from exchange_adapter.errors import VenueConfigError
from exchange_adapter.loading import venue_capabilities
from order_service.configuration.settings import Settings
from order_service.errors import SettingsError, WrongSetting
from orders.domain.values import Capabilities


def capabilities(settings: Settings) -> Capabilities:
    """What the venue can do, and what the operator chose for doubt. Raises SettingsError where EXCHANGE names nothing
    usable."""
    try:
        declared = venue_capabilities(settings.exchange)
    except VenueConfigError as error:
        what = str(error).removeprefix(f"EXCHANGE={settings.exchange}: ")
        raise SettingsError([WrongSetting("EXCHANGE", what)]) from error
    return replace(declared, resends_in_doubt=settings.resend_in_doubt)
