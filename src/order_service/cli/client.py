"""The commands' way to the API, and from its answers to exit codes."""

from __future__ import annotations

from typing import Any

import httpx

from order_service.bounds import CLIENT_TIMEOUT_S
from order_service.errors import ConflictError, NotFoundError, RefusedError, UnreachableError
from order_service.settings import Settings

_BY_STATUS = {404: NotFoundError, 409: ConflictError}


def call(settings: Settings, method: str, path: str, **request: Any) -> httpx.Response:
    """The answer of the API at BASE_URL.

    Raises: UnreachableError where nobody answers, NotFoundError, ConflictError, RefusedError with the problem's detail.
    """
    try:
        with httpx.Client(base_url=settings.base_url, timeout=CLIENT_TIMEOUT_S, trust_env=False) as client:
            answer = client.request(method, path, **request)
    except httpx.HTTPError as error:
        raise UnreachableError(
            f"no answer from {settings.base_url} ({error}). Start the service with `orders up`, or set BASE_URL"
        ) from None
    if answer.is_error:
        kind = UnreachableError if answer.status_code >= 500 else _BY_STATUS.get(answer.status_code, RefusedError)
        raise kind(_detail(answer))
    return answer


def _detail(answer: httpx.Response) -> str:
    try:
        body = answer.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        return f"{answer.request.url} answered {answer.status_code}"
    errors = body.get("errors")
    if isinstance(errors, list) and errors:
        return "; ".join(f"{error.get('field')}: {error.get('message')}" for error in errors)
    return str(body.get("detail") or body.get("message") or answer.status_code)
