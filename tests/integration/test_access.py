"""Every route of the app's own route table, with every scope, and other people's orders."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from litestar.routes import HTTPRoute
from websockets.exceptions import InvalidStatus

from order_service.api.documented_access import NamedScope, named_scopes
from order_service.security.access import STREAM
from order_service.security.principal import PUBLIC
from tests.support.access_service import SCOPES, AccessService, access_service, closing, showing, token
from tests.support.waiting import wait_until_async

pytestmark = pytest.mark.anyio

NOBODYS = "01939c7e-0000-7000-8000-000000000000"
ENDLESS = {"/events"}


@pytest.fixture(scope="module")
async def service(module_database_url: str) -> AsyncIterator[AccessService]:
    async with access_service(module_database_url) as running:
        yield running


def routes(service: AccessService, kind: str = "http") -> list[NamedScope]:
    found = [one for one in named_scopes(service.app) if one.kind == kind]
    assert found
    return found


def guarded(service: AccessService) -> list[NamedScope]:
    return [one for one in routes(service) if one.scope != PUBLIC]


def named(path: str, order_id: object = NOBODYS) -> str:
    """A path of the route, of an order (nobody's, if not given)."""
    for name, value in {"order_id": order_id, "symbol": "EURUSD", "name": "order_status"}.items():
        path = path.replace(f"{{{name}}}", str(value))
    assert "{" not in path, f"a test must say what {path} stands for"
    return path


async def status(service: AccessService, route: NamedScope, credential: str | None, **more: Any) -> int:
    """Of an endless answer, that of its beginning."""
    headers = {"Authorization": f"Bearer {credential}"} if credential else {}
    request = service.http.build_request(route.method, named(route.path), headers=headers, **more)
    answer = await service.http.send(request, stream=True)
    await answer.aclose()
    return answer.status_code


async def test_every_route_says_who_may_use_it(service: AccessService) -> None:
    for route in named_scopes(service.app):
        assert route.scope in {*SCOPES, PUBLIC}, f'{route.method} {route.path} lacks opt={{"scope": ...}}'


async def test_public_is_what_tells_of_the_process_and_how_to_use_it(service: AccessService) -> None:
    public = {route.path for route in routes(service) if route.scope == PUBLIC}
    documents = {path for path in public if path.startswith("/docs")}
    assert public - documents == {"/", "/health/live", "/health/ready", "/openapi.json", "/asyncapi.json"}
    assert {route.path for route in routes(service) if route.path.startswith("/ops")} <= {
        route.path for route in routes(service) if route.scope == "admin"
    }
    assert {route.scope for route in routes(service) if route.path == "/metrics"} == {"admin"}
    for path in sorted(public - {path for path in public if "{" in path}):
        assert (await service.ask("GET", path)).status_code < 400, path


async def test_nothing_else_answers_who_shows_nothing(service: AccessService) -> None:
    for route in guarded(service):
        answer = await service.ask(route.method, named(route.path), content=b"{}")
        assert answer.status_code == 401, route
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="orders"', route
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["type"] == "urn:problem-type:not-authenticated"
        if route.method == "GET":
            assert (await service.ask("HEAD", named(route.path))).status_code == 401, route


@pytest.mark.parametrize(
    "shown",
    [
        "Bearer orders_aaaaaaaaaaaa_" + "A" * 43,
        "Bearer nonsense",
        "Bearer",
        "Basic YWxpY2U6c2VjcmV0",
        "orders_aaaaaaaaaaaa_" + "A" * 43,
    ],
)
async def test_nor_who_shows_what_does_not_hold(service: AccessService, shown: str) -> None:
    for route in guarded(service):
        answer = await service.ask(route.method, named(route.path), headers={"Authorization": shown}, content=b"{}")
        assert answer.status_code == 401, (route, answer.text)
        assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


async def test_each_route_opens_to_its_own_scope_alone(service: AccessService) -> None:
    for route in guarded(service):
        for scope in SCOPES:
            for credential in (service.key(scope), token(scope=scope)):
                answered = await status(service, route, credential, content=b"{}")
                if scope == route.scope:
                    assert answered not in (401, 403), (route, scope, answered)
                else:
                    assert answered == 403, (route, scope, answered)


async def test_a_refusal_says_which_scope_is_lacking(service: AccessService) -> None:
    answer = await service.ask("POST", "/orders", service.key("read"))
    assert answer.json()["detail"] == "This needs a credential with the scope `trade`"
    assert answer.headers["WWW-Authenticate"].endswith('error="insufficient_scope", scope="trade"')


async def test_other_peoples_orders_are_as_if_they_were_not(service: AccessService) -> None:
    """Never 403: that would tell that there is one."""
    tried = 0
    for route in guarded(service):
        if "{order_id}" not in route.path or route.scope == "admin":
            continue
        tried += 1
        bobs = service.key(str(route.scope), "bob")
        body = b'{"quantity": 11}'
        theirs = await service.ask(route.method, named(route.path, service.alices), bobs, content=body)
        nobodys = await service.ask(route.method, named(route.path), bobs, content=body)
        assert theirs.status_code == nobodys.status_code == 404, route
        if route.method == "GET":
            assert (await service.ask("HEAD", named(route.path, service.alices), bobs)).status_code == 404, route
        said, of_nobody = (answer.json() for answer in (theirs, nobodys))
        assert said.pop("trace_id") != of_nobody.pop("trace_id")
        assert said["detail"].replace(str(service.alices), NOBODYS) == of_nobody["detail"]
        past = await service.ask(
            route.method, named(route.path, service.alices), bobs, content=body, params={"as_of": "1"}
        )
        assert past.status_code in (404, 422), route
    assert tried >= 10
    order = await service.ask("GET", f"/orders/{service.alices}", service.key("read"))
    assert (order.status_code, order.json()["quantity"], order.json()["status"]) == (200, 10, "Placed")


async def test_an_operator_sees_the_life_of_an_order_of_any_account(service: AccessService) -> None:
    path = f"/orders/{service.alices}"
    for of_order in ("", "/events"):
        theirs = await service.ask("GET", f"{path}{of_order}", service.key("read"))
        seen = await service.ask("GET", f"/ops{path}{of_order}", service.key("admin", "bob"))
        assert (seen.status_code, seen.json()) == (200, theirs.json())
        assert (await service.ask("GET", f"/ops{path}{of_order}", service.key("read"))).status_code == 403
        nobodys = await service.ask("GET", f"/ops/orders/{NOBODYS}{of_order}", service.key("admin", "bob"))
        assert nobodys.status_code == 404


async def test_no_read_shows_anything_of_another_account(service: AccessService) -> None:
    secrets = (str(service.alices), "alices-key", "1.10000")
    shown = []
    for route in guarded(service):
        if route.scope != "read" or route.method != "GET" or "{order_id}" in route.path or route.path in ENDLESS:
            continue
        for params in ({}, {"as_of": "2"}, {"client_order_id": "alices-key"}, {"order_id": str(service.alices)}):
            answer = await service.ask("GET", named(route.path), service.key("read", "bob"), params=params)
            assert not any(secret in answer.text for secret in secrets), (route, params)
        mine = await service.ask("GET", named(route.path), service.key("read"))
        if any(secret in mine.text for secret in secrets):
            shown.append(route.path)
    assert {"/orders", "/order", "/trades", "/books/{symbol}"} <= set(shown), "where alice sees it, bob would have"


async def test_a_parameter_that_a_route_does_not_know_stops_it(service: AccessService) -> None:
    """`dry_run` in the address of a cancel must not cancel."""
    for route in guarded(service):
        if route.path in ("/metrics", "/ws"):  # scrapers may be told to send some; a GET of /ws is none of its requests
            continue
        path, credential = named(route.path, service.alices), service.key(str(route.scope))
        answer = await service.ask(route.method, path, credential, params={"no_such": "1"}, content=b"{}")
        assert answer.status_code == 422, route
        assert "no_such" in [error["field"] for error in answer.json()["errors"]], route


async def test_a_cursor_of_one_account_is_of_no_use_to_another(service: AccessService) -> None:
    for _ in range(2):
        made = await service.ask("POST", "/orders", service.key("trade"), json={"symbol": "EURUSD", "quantity": 1})
        assert made.status_code == 201
    position = made.headers["Orders-Position"]
    params = {"limit": "1", "min_position": position}
    first = await service.ask("GET", "/orders", service.key("read"), params=params)
    cursor = first.links["next"]["url"]
    assert (await service.ask("GET", cursor, service.key("read"))).status_code == 200
    assert (await service.ask("GET", cursor, service.key("read", "bob"))).status_code == 422


async def test_a_key_of_one_account_means_another_order_in_another(service: AccessService) -> None:
    body = {"symbol": "EURUSD", "quantity": 3, "client_order_id": "the-same"}
    ids = set()
    for account in ("alice", "bob"):
        made = await service.ask("POST", "/orders", service.key("trade", account), json=body)
        again = await service.ask("POST", "/orders", service.key("trade", account), json=body)
        assert (made.status_code, again.status_code) == (201, 200)
        assert made.json()["id"] == again.json()["id"]
        ids.add(made.json()["id"])
    assert len(ids) == 2


async def test_the_account_stands_in_no_body(service: AccessService) -> None:
    body = {"symbol": "EURUSD", "quantity": 3, "account": "bob"}
    answer = await service.ask("POST", "/orders", service.key("trade"), json=body)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == ["account"]


async def test_a_key_may_stand_in_a_header_of_its_own(service: AccessService) -> None:
    for headers in ({"X-API-Key": service.key("read")}, {"authorization": f"bEARER {service.key('read')}"}):
        assert (await service.ask("GET", "/orders", headers=headers)).status_code == 200
    both = {"X-API-Key": service.key("read", "bob"), "Authorization": f"Bearer {service.key('read')}"}
    assert (await service.ask("GET", "/orders", headers=both)).status_code == 401


async def test_a_foreign_host_or_page_gets_nothing(service: AccessService) -> None:
    for route in routes(service):
        path = named(route.path.replace("{file_path}", "x").replace("{path}", "x"))
        answer = await service.ask(route.method, path, service.key("trade"), headers={"Host": "evil.example"})
        assert answer.status_code == 421, route
    origin = {"Origin": "https://evil.example"}
    answer = await service.ask("POST", "/orders", service.key("trade"), headers=origin, json={})
    assert (answer.status_code, answer.json()["type"]) == (403, "urn:problem-type:foreign-origin")
    assert (await service.ask("GET", "/orders", service.key("read"), headers=origin)).status_code == 200


async def test_every_socket_asks_who_it_is(service: AccessService) -> None:
    assert {(route.path, route.scope) for route in routes(service, "websocket")} == {("/ws", "read")}
    for credential, code in ((None, 4401), ("nonsense", 4401), (service.key("trade"), 4403), (token(scope=""), 4403)):
        async with service.feed("?after=0", credential) as socket:
            assert (await closing(socket))[0] == code
    for headers in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Host": "evil.example"}):
        with pytest.raises(InvalidStatus) as refused:
            async with service.feed("", service.key("read"), headers=headers):
                pass
        assert refused.value.response.status_code == 403


@pytest.mark.parametrize(
    "query", ["detail=true&channels=orders,trades,books", "detail=false", "symbol=EURUSD", "order_id={alices}"]
)
async def test_a_socket_tells_of_its_own_accounts_orders_only(service: AccessService, query: str) -> None:
    told: dict[str, list[str]] = {}
    query = f"?after=0&{query.format(alices=service.alices)}"
    for account in ("alice", "bob"):
        async with service.feed(query, service.key("read", account)) as socket:
            told[account] = [str(await socket.recv())]
            while "caught_up" not in told[account][-1]:
                told[account].append(str(await socket.recv()))
    assert any(str(service.alices) in text for text in told["alice"])
    assert not any(str(service.alices) in text or "alices-key" in text for text in told["bob"])


async def test_an_endless_answer_tells_of_its_own_accounts_orders_only(service: AccessService) -> None:
    handlers = [
        (route, one) for route in service.app.routes if isinstance(route, HTTPRoute) for one in route.route_handlers
    ]
    endless = {route.path for route, handler in handlers if handler.media_type == "text/event-stream"}
    assert endless == ENDLESS
    assert endless == {
        route.path for route, handler in handlers if handler.opt.get(STREAM) and handler.http_methods != {"OPTIONS"}
    }, "one that does not say so outlives its credential"
    for path in endless:
        for query in ("after=0&detail=true", f"after=0&order_id={service.alices}"):
            told = {who: await until_caught_up(service, f"{path}?{query}", who) for who in ("alice", "bob")}
            assert str(service.alices) in told["alice"]
            assert str(service.alices) not in told["bob"]


async def until_caught_up(service: AccessService, path: str, account: str) -> str:
    request = service.http.build_request("GET", path, headers=showing(service.key("read", account)))
    answer = await service.http.send(request, stream=True)
    told = ""
    async for part in answer.aiter_text():
        told += part
        if "caught_up" in told:
            break
    await answer.aclose()
    return told


async def test_a_browser_shows_its_key_as_a_subprotocol(service: AccessService) -> None:
    offered: list[Any] = ["orders", f"orders.bearer.{service.key('read')}"]
    async with service.feed("?after=0", subprotocols=offered) as socket:
        assert socket.subprotocol == "orders"
        assert json.loads(await socket.recv())["order_id"] == str(service.alices)
    async with service.feed("?after=0", subprotocols=["orders", "orders.bearer.nonsense"]) as socket:  # type: ignore[list-item]
        assert (await closing(socket))[0] == 4401


async def test_revoking_a_key_shuts_the_door_and_cuts_what_is_open(service: AccessService) -> None:
    key, other = service.new_key("read"), service.new_key("read")
    async with service.feed("", key.text) as socket, service.feed("", other.text) as stays:
        request = service.http.build_request("GET", "/events?after=0", headers={"X-API-Key": key.text})
        stream = await service.http.send(request, stream=True)
        assert stream.status_code == 200
        service.revoke(key)
        assert await closing(socket, 4) == (4401, "the API key is revoked or has expired")
        async for _ in stream.aiter_bytes():
            pass
        assert stays.state.name == "OPEN"

    async def shut() -> bool:
        return (await service.ask("GET", "/orders", key.text)).status_code == 401

    await wait_until_async(shut, within_s=2)


async def test_a_socket_ends_with_its_token(service: AccessService) -> None:
    async with service.feed("", token(ends_in_s=2)) as socket:
        assert await closing(socket, 4) == (4401, "the token has expired")


async def test_the_document_says_of_every_operation_what_it_needs(service: AccessService) -> None:
    document = (await service.http.get("/openapi.json")).json()
    scopes = {(route.method.lower(), route.path): route.scope for route in routes(service)}
    assert set(document["components"]["securitySchemes"]) == {"bearer", "apiKey"}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            scope = scopes[method, path]
            wanted = [] if scope == PUBLIC else [{"bearer": [scope]}, {"apiKey": [scope]}]
            assert operation["security"] == wanted, (method, path)
            assert {"401", "403"} <= set(operation["responses"]) or scope == PUBLIC
            assert "421" in operation["responses"]
