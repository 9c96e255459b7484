"""/docs, /openapi.json and /asyncapi.json from what is shipped: nothing is loaded from elsewhere."""

from __future__ import annotations

from http import HTTPStatus
from importlib.resources import files
from pathlib import Path
from typing import Any

from litestar import Request, Response, Router, get
from litestar.enums import OpenAPIMediaType
from litestar.exceptions import NotFoundException
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin, SwaggerRenderPlugin
from litestar.openapi.spec import License
from litestar.response import Redirect
from litestar.static_files import create_static_files_router
from litestar.types import ControllerRouterHandler

from order_service.api.documented_access import DocumentedAccess
from order_service.api.documented_headers import DocumentedConfig
from projections.api.feed_document import as_text, feed_document

DOCS_PATH = "/docs"
ASSETS_PATH = f"{DOCS_PATH}/assets"
ASYNCAPI_JSON = "application/vnd.aai.asyncapi+json;version=3.0.0"  # AsyncAPI 3.0, "Format"
_PUBLIC = {"scope": "public"}
_FAVICON = f'<link rel="icon" href="{ASSETS_PATH}/favicon-32x32.png">'


def openapi_config(version: str, access: DocumentedAccess) -> OpenAPIConfig:
    swagger = SwaggerRenderPlugin(
        js_url=f"{ASSETS_PATH}/swagger-ui-bundle.js",
        css_url=f"{ASSETS_PATH}/swagger-ui.css",
        standalone_preset_js_url=f"{ASSETS_PATH}/swagger-ui-standalone-preset.js",
        path="/",
        favicon=_FAVICON,
    )
    return DocumentedConfig(
        title="Order service",
        version=version,
        description="Durable orders over REST, placed at an unreliable stock exchange.",
        license=License(name="Apache-2.0", identifier="Apache-2.0"),
        access=access,
        path=DOCS_PATH,
        openapi_router=Router(DOCS_PATH, route_handlers=[], include_in_schema=False, after_request=_found, opt=_PUBLIC),
        render_plugins=[swagger, JsonRenderPlugin(path="/openapi.json")],
    )


async def _found(response: Response[Any]) -> Response[Any]:
    """Litestar's own page for what is not there is HTML."""
    if response.status_code == HTTPStatus.NOT_FOUND:
        raise NotFoundException
    return response


def docs_handlers(version: str) -> list[ControllerRouterHandler]:
    """The schemas at their usual paths, the files, and / for who looks around."""
    feed = as_text(feed_document(version)).encode()
    rendered: list[bytes] = []

    @get("/openapi.json", include_in_schema=False, media_type=OpenAPIMediaType.OPENAPI_JSON, opt=_PUBLIC)
    async def schema(request: Request[Any, Any, Any]) -> bytes:
        if not rendered:  # 30 ms of work, for whoever asks
            rendered.append(JsonRenderPlugin().render(request, request.app.openapi_schema.to_schema()))
        return rendered[0]

    @get("/asyncapi.json", include_in_schema=False, media_type=ASYNCAPI_JSON, opt=_PUBLIC)
    async def feed_schema() -> bytes:
        return feed

    @get("/", include_in_schema=False, opt=_PUBLIC)
    async def look_around() -> Redirect:
        return Redirect(DOCS_PATH)

    folder = Path(str(files("order_service") / "docs_assets"))
    assets = create_static_files_router(path=ASSETS_PATH, directories=[folder], include_in_schema=False, opt=_PUBLIC)
    return [schema, feed_schema, look_around, assets]
