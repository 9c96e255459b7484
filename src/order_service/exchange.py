"""The venue that EXCHANGE names, as the settings see it."""

from __future__ import annotations

from exchange_adapter.errors import VenueConfigError
from exchange_adapter.loading import venue_capabilities
from order_service.errors import SettingsError, WrongSetting
from order_service.settings import Settings
from orders.domain.values import Capabilities


def capabilities(settings: Settings) -> Capabilities:
    """What the venue can do. Raises SettingsError where EXCHANGE names nothing usable."""
    try:
        return venue_capabilities(settings.exchange)
    except VenueConfigError as error:
        what = str(error).removeprefix(f"EXCHANGE={settings.exchange}: ")
        raise SettingsError([WrongSetting("EXCHANGE", what)]) from error
