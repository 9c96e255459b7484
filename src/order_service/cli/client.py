"""The commands' way to the API, and from its answers to errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx

from order_service.bounds import CLIENT_TIMEOUT_S
from order_service.cli.own_access import http_options
from order_service.configuration.settings import Settings
from order_service.errors import (
    ConflictError,
    NotFoundError,
    RefusedError,
    ServiceError,
    UnreachableError,
    WrongRequestError,
)

_NO_ENTRANCE = {401: ". Set ORDERS_API_KEY", 403: ". ORDERS_API_KEY is the key that was shown"}
_BY_STATUS = {404: NotFoundError, 409: ConflictError, 422: WrongRequestError}


class Api:
    """The API at BASE_URL. Its calls raise UnreachableError where nobody answers, or with what the service lacks, and
    NotFoundError, ConflictError, WrongRequestError, RefusedError with the problem's detail."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def call(self, method: str, path: str, **request: Any) -> httpx.Response:
        url = self._client.base_url
        try:
            answer = self._client.request(method, path, **request)
        except httpx.TimeoutException:
            raise UnreachableError(
                f"no answer from {url} within {CLIENT_TIMEOUT_S:g} s; `orders doctor` says what is wrong"
                + ("" if method == "GET" else ". It may have been done nevertheless: look before you repeat it")
            ) from None
        except httpx.HTTPError as error:
            raise UnreachableError(
                f"no answer from {url} ({error or type(error).__name__}). Start the service with `orders up`, or set"
                " BASE_URL"
            ) from None
        if answer.is_error:
            raise _refusal(answer)
        return answer

    def pages(self, path: str, params: dict[str, Any]) -> Iterator[list[dict[str, Any]]]:
        """Page by page, as the Link headers lead."""
        answer = self.call("GET", path, params=params)
        while True:
            yield rows_of(answer)
            if "next" not in answer.links:
                return
            link = urlsplit(answer.links["next"]["url"])
            answer = self.call("GET", f"{link.path}?{link.query}")


@contextmanager
def api(settings: Settings) -> Iterator[Api]:
    with httpx.Client(base_url=settings.base_url, timeout=CLIENT_TIMEOUT_S, **http_options(settings)) as client:
        yield Api(client)


def object_of(answer: httpx.Response) -> dict[str, Any]:
    found = _json(answer)
    if not isinstance(found, dict):
        raise _not_ours(answer)
    return found


def rows_of(answer: httpx.Response) -> list[dict[str, Any]]:
    rows = _json(answer)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise _not_ours(answer)
    return rows


def _json(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        raise _not_ours(answer) from None


def _not_ours(answer: httpx.Response) -> UnreachableError:
    return UnreachableError(f"{answer.request.url} answered {answer.status_code}, but not as an order service does")


def _refusal(answer: httpx.Response) -> ServiceError:
    kind = UnreachableError if answer.status_code >= 500 else _BY_STATUS.get(answer.status_code, RefusedError)
    hint = _NO_ENTRANCE.get(answer.status_code, "")
    return kind(f"{_detail(answer)}{hint}")


def _detail(answer: httpx.Response) -> str:
    try:
        body = answer.json()
    except ValueError:
        body = None
    said = body if isinstance(body, dict) else {}
    errors = said.get("errors")
    if isinstance(errors, list) and errors:
        return "; ".join(_field_error(error) for error in errors)
    words = said.get("detail") or said.get("message")
    if not words:
        return f"{answer.request.url} answered {answer.status_code}"
    if answer.status_code >= 500 and "Location" in answer.headers:
        order_id = answer.headers["Location"].rpartition("/")[2]
        return f"{words}. It may exist nevertheless: `orders show {order_id}` tells"
    return str(words)


def _field_error(error: dict[str, Any]) -> str:
    field, message = str(error.get("field")), str(error.get("message"))
    named = field.replace("_", " ") in message.lower() or field in message
    return message if named else f"{field}: {message}"
