"""What our own commands show of themselves at the API, and whose certificates they trust."""

from __future__ import annotations

import ssl
from typing import Any

from order_service.configuration.settings import Settings


def http_options(settings: Settings) -> dict[str, Any]:
    """For httpx. Proxies of the environment are left alone: the service is named by its address."""
    key = settings.access.api_key
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return {"headers": headers, "verify": tls(settings) or True, "trust_env": False}


def tls(settings: Settings) -> ssl.SSLContext | None:
    """Who the system trusts, and the service's own certificate where this machine has it; None without https."""
    if not settings.base_url.startswith("https://"):
        return None
    context = ssl.create_default_context()
    if settings.access.tls_certificate is not None:
        context.load_verify_locations(settings.access.tls_certificate)
    return context
