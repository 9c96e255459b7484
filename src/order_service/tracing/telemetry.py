"""OpenTelemetry traces, where the environment asks for them; else nothing of it is imported.

    OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318   or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: they are sent there
    OTEL_TRACES_EXPORTER=console                        they are printed, for a look; none: off
    OTEL_SDK_DISABLED=true                              off, whatever else is set

All other OTEL_* variables (service name, resource attributes, sampler, headers) mean what the specification says. They
are read from the environment only, not from .env.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from order_service.errors import SettingsError, WrongSetting

if TYPE_CHECKING:
    from order_service.tracing.spans import Spans

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_EXPORTERS = ("otlp", "console", "none")


def asked_for(environ: Mapping[str, str]) -> str | None:
    """The exporter that is asked for, by its name; None where there are to be no traces. Raises SettingsError."""
    if environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    exporter = environ.get("OTEL_TRACES_EXPORTER", "")
    if exporter and exporter not in _EXPORTERS:
        said = f"{exporter!r} is none of {', '.join(_EXPORTERS)}"
        raise SettingsError([WrongSetting("OTEL_TRACES_EXPORTER", said)])
    if exporter == "none":
        return None
    return exporter or ("otlp" if any(environ.get(name) for name in _ENDPOINTS) else None)


def spans_of(part: str, environ: Mapping[str, str] | None = None) -> Spans | None:
    """What makes the spans of a part, `api` for example. Raises SettingsError where they are asked for in vain."""
    exporter = asked_for(os.environ if environ is None else environ)
    if exporter is None:
        return None
    try:
        from order_service.tracing.spans import exporting
    except ModuleNotFoundError as error:
        said = f"asks for traces, and {error.name} is not installed: pip install 'order-service[telemetry]'"
        raise SettingsError([WrongSetting("OTEL_*", said)]) from None
    return exporting(part, console=exporter == "console")
