"""/docs, /openapi.json and /asyncapi.json from what is shipped: nothing is loaded from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from importlib.resources import files
from typing import Any

from litestar import Request, Response, Router, get
from litestar.enums import OpenAPIMediaType
from litestar.exceptions import NotFoundException
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin, SwaggerRenderPlugin
from litestar.openapi.spec import License
from litestar.params import FromPath
from litestar.response import Redirect
from litestar.response.base import ASGIResponse
from litestar.types import ControllerRouterHandler, Receive, Send

from order_service.api.documented_access import DocumentedAccess
from order_service.api.documented_headers import DocumentedConfig
from order_service.bounds import DOCUMENT_PART_BYTES
from projections.api.feed_document import as_text, feed_document

DOCS_PATH = "/docs"
ASSETS_PATH = f"{DOCS_PATH}/assets"
ASYNCAPI_JSON = "application/vnd.aai.asyncapi+json;version=3.0.0"  # AsyncAPI 3.0, "Format"
_PUBLIC = {"scope": "public"}
_MEDIA_TYPES = {".js": "text/javascript", ".css": "text/css", ".png": "image/png", ".json": "application/json"}
_FAVICON = f'<link rel="icon" href="{ASSETS_PATH}/favicon-32x32.png">'


class _Document(ASGIResponse):
    """Sent as fast as its client takes it, so that the server holds some parts for each client, not all of it: whoever
    can connect may ask for it."""

    async def send_body(self, send: Send, receive: Receive) -> None:
        for begin in range(0, len(self.body), DOCUMENT_PART_BYTES):
            part = self.body[begin : begin + DOCUMENT_PART_BYTES]
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


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
    assets = _assets()
    rendered: list[bytes] = []

    @get("/openapi.json", include_in_schema=False, media_type=OpenAPIMediaType.OPENAPI_JSON, opt=_PUBLIC)
    async def schema(request: Request[Any, Any, Any]) -> ASGIResponse:
        if not rendered:  # 30 ms of work, for whoever asks
            rendered.append(JsonRenderPlugin().render(request, request.app.openapi_schema.to_schema()))
        return _Document(body=rendered[0], media_type=OpenAPIMediaType.OPENAPI_JSON)

    @get("/asyncapi.json", include_in_schema=False, media_type=ASYNCAPI_JSON, opt=_PUBLIC)
    async def feed_schema() -> ASGIResponse:
        return _Document(body=feed, media_type=ASYNCAPI_JSON)

    @get("/", include_in_schema=False, opt=_PUBLIC)
    async def look_around() -> Redirect:
        return Redirect(DOCS_PATH)

    @get(f"{ASSETS_PATH}/{{name:str}}", include_in_schema=False, opt=_PUBLIC)
    async def asset(name: FromPath[str]) -> ASGIResponse:
        if name not in assets:
            raise NotFoundException
        media_type, body = assets[name]
        return _Document(body=body, media_type=media_type)

    return [schema, feed_schema, look_around, asset]


def _assets() -> Mapping[str, tuple[str, bytes]]:
    """The media type and bytes of each shipped file: no name that a client sends reaches the file system."""
    shipped = [one for one in (files("order_service") / "docs_assets").iterdir() if one.is_file()]
    return {
        one.name: (_MEDIA_TYPES.get(one.name[one.name.rfind(".") :], "text/plain"), one.read_bytes()) for one in shipped
    }
