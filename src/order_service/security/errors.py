"""Who is not let in, and why. Each `str()` is fit for the client; `headers` go with the answer.

AccessError
├── NotAuthenticated     no credential, or none that holds (401)
├── NotPermitted         the credential does not open this (403)
├── ForeignOrigin        a page of another origin asks (403)
├── NotTheProxy          somebody else than the declared proxy asks (403)
├── UndeclaredProxy      nobody shows a credential here, and a proxy asks for somebody (403)
└── WrongHost            the request is meant for another host (421)
"""

from __future__ import annotations

from collections.abc import Mapping

from orders.strict_json import shortened

CHALLENGE = "WWW-Authenticate"


class AccessError(Exception):
    headers: Mapping[str, str] = {}


class NotAuthenticated(AccessError):
    """RFC 6750, 3.1: a request without a credential hears only how one is shown."""

    def __init__(self, detail: str, *, shown: bool) -> None:
        super().__init__(detail)
        error = ', error="invalid_token"' if shown else ""
        self.headers = {CHALLENGE: f'Bearer realm="orders"{error}'}


class NotPermitted(AccessError):
    def __init__(self, scope: str) -> None:
        super().__init__(f"This needs a credential with the scope `{scope}`")
        self.headers = {CHALLENGE: f'Bearer realm="orders", error="insufficient_scope", scope="{scope}"'}


class ForeignOrigin(AccessError):
    def __init__(self, origin: str) -> None:
        super().__init__(f"Pages of {shortened(origin)} may not do this: ALLOWED_ORIGINS does not name it")


class NotTheProxy(AccessError):
    def __init__(self) -> None:
        super().__init__("Only the proxy that TRUSTED_PROXY names is served here")


class UndeclaredProxy(AccessError):
    def __init__(self) -> None:
        super().__init__(
            "This came through a proxy, and without credentials only this machine itself is served: set"
            " AUTHENTICATION=required, and TRUSTED_PROXY to the proxy's address"
        )


class WrongHost(AccessError):
    def __init__(self, host: str) -> None:
        super().__init__(f"There is no {shortened(host)} here: neither BASE_URL nor ALLOWED_HOSTS names it")
