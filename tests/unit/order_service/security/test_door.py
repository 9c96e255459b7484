"""What a request must be before anybody asks who makes it."""

import ipaddress
from typing import Any

import pytest

from order_service.configuration.settings import load_settings
from order_service.security.bounds import MAX_KNOWN_HOSTS
from order_service.security.door import Door, DoorRules, client_address, door_rules
from order_service.security.errors import AccessError, ForeignOrigin, NotTheProxy, UndeclaredProxy, WrongHost

PROXIED = {"BASE_URL": "https://orders.example", "LISTEN": "0.0.0.0:8000", "TRUSTED_PROXY": "10.0.0.0/24"}


def door(**settings: str) -> Door:
    return Door(door_rules(load_settings(settings)))


def asks(
    door: Door,
    method: str = "POST",
    *,
    kind: str = "http",
    peer: str = "127.0.0.1",
    scheme: str = "http",
    **headers: str,
) -> dict[str, Any]:
    """The scope as it is behind the door. A header's name has _ for -."""
    scope: dict[str, Any] = {"type": kind, "scheme": scheme, "client": (peer, "4242")}
    if kind == "http":
        scope["method"] = method
    given = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    door.pass_through(scope, given)
    return scope


def refused(door: Door, *given: Any, **more: Any) -> type[AccessError]:
    with pytest.raises(AccessError) as caught:
        asks(door, *given, **more)
    return caught.type


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8000", "localhost:8000", "LOCALHOST", "[::1]:8000", "localhost:9000", "127.0.0.1"]
)
def test_on_this_machine_it_is_called_by_the_names_of_this_machine(host: str) -> None:
    asks(door(), host=host)


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "localhost.evil.example", "10.1.2.3", "[::2]", "[",
     "user@localhost.evil.example", "localhost@evil.example"],
)  # fmt: skip
def test_a_name_that_somebody_else_points_here_is_refused(host: str) -> None:
    assert refused(door(), "GET", host=host) is WrongHost
    assert refused(door(), kind="websocket", host=host) is WrongHost


def test_the_hosts_of_base_url_and_listen_and_the_allowed_ones_are_ours() -> None:
    ours = door(BASE_URL="http://127.0.0.2:8000", LISTEN="127.0.0.3:8000", ALLOWED_HOSTS="api, Orders.Internal")
    for host in ("127.0.0.2:8000", "127.0.0.3", "api:8000", "orders.internal"):
        asks(ours, host=host)
    assert refused(ours, host="127.0.0.4") is WrongHost


def test_who_listens_on_every_address_is_called_by_any_of_them_but_by_no_name_of_others() -> None:
    asks(door(**PROXIED), host="10.9.8.7:8000")
    assert refused(door(**PROXIED), host="evil.example") is WrongHost


def test_a_request_without_a_host_is_no_browsers() -> None:
    asks(door())


def test_however_many_hosts_are_invented_few_are_remembered() -> None:
    one = door()
    for number in range(MAX_KNOWN_HOSTS + 50):
        assert refused(one, host=f"{number}.example") is WrongHost
    assert len(one._known_hosts) == MAX_KNOWN_HOSTS
    asks(one, host="localhost")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "MKCOL"])
@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://localhost:3000", "https://localhost:8000", ""]
)
def test_a_page_of_others_changes_nothing(method: str, origin: str) -> None:
    assert refused(door(), method, host="localhost:8000", origin=origin) is ForeignOrigin


@pytest.mark.parametrize("origin", ["https://evil.example", "null"])
def test_a_page_of_others_opens_no_socket(origin: str) -> None:
    assert refused(door(), kind="websocket", scheme="ws", host="localhost:8000", origin=origin) is ForeignOrigin


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_reads_of_other_pages_pass_since_browsers_keep_the_answer_from_them(method: str) -> None:
    asks(door(), method, host="localhost:8000", origin="https://evil.example")


def test_our_own_pages_may_do_everything() -> None:
    asks(door(), host="localhost:8000", origin="http://localhost:8000")
    asks(door(), host="127.0.0.1:8000", origin="http://127.0.0.1:8000")
    asks(door(), host="localhost", origin="http://localhost")
    asks(door(), kind="websocket", scheme="ws", host="localhost:8000", origin="http://localhost:8000")
    asks(door(), kind="websocket", scheme="wss", host="localhost:443", origin="https://localhost")


def test_pages_of_an_allowed_origin_may_too() -> None:
    ours = door(ALLOWED_ORIGINS="https://desk.example.com, http://localhost:3000")
    asks(ours, host="localhost:8000", origin="https://desk.example.com")
    asks(ours, host="localhost:8000", origin="http://localhost:3000")
    assert refused(ours, host="localhost:8000", origin="http://desk.example.com") is ForeignOrigin


def test_beside_the_proxy_only_this_machine_is_served() -> None:
    ours = door(**PROXIED)
    asks(ours, peer="10.0.0.7", host="orders.example")
    asks(ours, peer="::ffff:10.0.0.7", host="orders.example")
    asks(ours, peer="127.0.0.1", host="localhost")
    for stranger in ("10.0.1.7", "192.168.0.1", "::ffff:10.0.1.7", "fe80::1"):
        assert refused(ours, "GET", peer=stranger, host="orders.example") is NotTheProxy


def test_a_proxy_on_the_same_machine_shuts_nobody_of_it_out() -> None:
    ours = door(BASE_URL="https://orders.example", LISTEN="127.0.0.1:8000", TRUSTED_PROXY="127.0.0.1")
    scope = asks(ours, host="localhost:8000", x_forwarded_host="orders.example", x_forwarded_for="203.0.113.9")
    assert client_address(scope) == "203.0.113.9"


@pytest.mark.parametrize("added", ["forwarded", "via", "x_real_ip", "x_forwarded_for", "x_forwarded_host"])
@pytest.mark.parametrize("more", [{}, {"ENVIRONMENT": "production"}, {"TRUSTED_PROXY": "10.0.0.7"}, PROXIED])
def test_without_credentials_a_proxy_that_nobody_declared_lets_nobody_in(more: dict[str, str], added: str) -> None:
    """To us it is this machine that asks, whoever it was."""
    ours = door(**more)
    asks(ours, host="localhost")
    assert refused(ours, "GET", host="localhost", **{added: "203.0.113.9"}) is UndeclaredProxy
    asks(door(**more, AUTHENTICATION="required"), host="localhost", **{added: "203.0.113.9"})


def test_what_the_proxy_says_of_its_client_is_believed() -> None:
    scope = asks(
        door(**PROXIED, ALLOWED_HOSTS="api"),
        peer="10.0.0.7",
        host="api",
        x_forwarded_host="orders.example",
        x_forwarded_proto="https",
        x_forwarded_for="198.51.100.1, 203.0.113.9, 10.0.0.5",
        origin="https://orders.example",
    )
    assert scope["scheme"] == "https"
    assert client_address(scope) == "203.0.113.9", "what stands before the last stranger, the stranger itself has said"
    assert scope["client"] == ("10.0.0.7", "4242"), "the connection is still the proxy's"


def test_what_the_proxy_was_asked_for_stands_beside_the_host_and_not_in_its_place() -> None:
    ours = door(BASE_URL="https://orders.example", LISTEN="127.0.0.1:8000", TRUSTED_PROXY="127.0.0.1")
    assert refused(ours, "GET", host="evil.example", x_forwarded_host="orders.example") is WrongHost
    assert refused(ours, "GET", host="orders.example", x_forwarded_host="evil.example") is WrongHost
    asks(ours, "GET", host="orders.example", x_forwarded_host="orders.example")


def test_what_others_say_of_themselves_is_not() -> None:
    ours = door(AUTHENTICATION="required")
    scope = asks(ours, host="localhost", x_forwarded_for="203.0.113.9", x_forwarded_proto="https")
    assert (client_address(scope), scope["scheme"]) == ("127.0.0.1", "http")
    assert refused(ours, host="evil.example", x_forwarded_host="localhost") is WrongHost


@pytest.mark.parametrize(
    ("said", "address"),
    [("", "10.0.0.7"), ("unknown", "10.0.0.7"), ("203.0.113.9, junk", "10.0.0.7"), ("10.0.0.3", "10.0.0.3")],
)
def test_an_address_that_is_none_ends_the_list(said: str, address: str) -> None:
    assert (
        client_address(asks(door(**PROXIED), peer="10.0.0.7", host="orders.example", x_forwarded_for=said)) == address
    )


def test_on_a_unix_socket_nobody_has_an_address() -> None:
    scope: dict[str, Any] = {"type": "http", "scheme": "http", "client": None, "method": "GET"}
    network = ipaddress.ip_network("10.0.0.7")
    Door(DoorRules(hosts=frozenset({"localhost"}), proxies=(network,), proxies_only=True)).pass_through(scope, {})
    assert client_address(scope) == ""
