"""/docs and /openapi.json from files that are shipped: nothing is loaded from elsewhere."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin, SwaggerRenderPlugin
from litestar.openapi.spec import Components, License
from litestar.static_files import create_static_files_router

ASSETS_PATH = "/docs/assets"
_FAVICON = f'<link rel="icon" href="{ASSETS_PATH}/favicon-32x32.png">'


def openapi_config(version: str, schemas: dict[str, Any]) -> OpenAPIConfig:
    """`schemas` are components that no handler's signature shows."""
    swagger = SwaggerRenderPlugin(
        js_url=f"{ASSETS_PATH}/swagger-ui-bundle.js",
        css_url=f"{ASSETS_PATH}/swagger-ui.css",
        standalone_preset_js_url=f"{ASSETS_PATH}/swagger-ui-standalone-preset.js",
        path="/docs",
        favicon=_FAVICON,
    )
    return OpenAPIConfig(
        title="Order service",
        version=version,
        description="Durable orders over REST, placed at an unreliable stock exchange.",
        license=License(name="Apache-2.0", identifier="Apache-2.0"),
        path="/",
        render_plugins=[swagger, JsonRenderPlugin(path="/openapi.json")],
        components=Components(schemas=schemas),
    )


def assets() -> Any:
    folder = files("order_service") / "docs_assets"
    return create_static_files_router(path=ASSETS_PATH, directories=[Path(str(folder))], include_in_schema=False)
