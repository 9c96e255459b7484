"""One order, asked for again by a client that has it: entity tags over HTTP (RFC 9110, 8.8.3 and 13.1.2)."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from tests.support.read_service import ReadService, read_service, wrong_fields

pytestmark = pytest.mark.anyio


@pytest.fixture
async def service(database_url: str) -> AsyncIterator[ReadService]:
    async with read_service(database_url) as running:
        yield running


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_who_has_the_order_as_it_is_hears_only_that(service: ReadService, method: str) -> None:
    order_id = service.desk.place("EURUSD", 10)
    service.desk.fill(order_id, 4)
    path = f"/orders/{order_id}"
    first = await service.client.request(method, path)
    assert (first.status_code, first.headers["etag"], first.headers["cache-control"]) == (200, '"2"', "no-cache")
    again = await service.client.request(method, path, headers={"If-None-Match": f'"1", W/{first.headers["etag"]}'})
    assert (again.status_code, again.content) == (304, b"")
    assert (again.headers["etag"], again.headers["orders-position"]) == ('"2"', "2")
    assert not {"content-type", "content-length"} & set(again.headers)


async def test_an_order_that_has_moved_on_is_shown_anew(service: ReadService) -> None:
    order_id = service.desk.place("EURUSD", 10)
    path, known = f"/order/{order_id}", {"If-None-Match": '"1"'}
    assert (await service.client.get(path, headers=known)).status_code == 304
    service.desk.fill(order_id, 10)
    answer = await service.client.get(path, headers=known)
    assert (answer.status_code, answer.headers["etag"], answer.json()["status"]) == (200, '"2"', "Executed")


async def test_an_order_as_it_was_has_the_tag_of_then(service: ReadService) -> None:
    order_id = service.desk.place("EURUSD", 10)
    service.desk.fill(order_id, 10)
    then = f"/orders/{order_id}?as_of=1"
    assert (await service.client.get(then)).headers["etag"] == '"1"'
    assert (await service.client.get(then, headers={"If-None-Match": '"2"'})).status_code == 200
    assert (await service.client.get(then, headers={"If-None-Match": '"1"'})).status_code == 304


async def test_a_condition_changes_no_refusal(service: ReadService) -> None:
    order_id = service.desk.place("EURUSD", 10)
    any_tag = {"If-None-Match": "*"}
    assert (await service.client.get(f"/orders/{uuid4()}", headers=any_tag)).status_code == 404
    assert wrong_fields(await service.client.get(f"/orders/{order_id}?min_position=2", headers=any_tag)) == [
        "min_position"
    ]
    assert (await service.client.get(f"/orders/{order_id}", headers=any_tag)).status_code == 304


async def test_a_condition_in_several_lines_is_one_list(service: ReadService) -> None:
    order_id = service.desk.place("EURUSD", 10)
    lines = [("If-None-Match", '"5"'), ("If-None-Match", '"1"')]
    assert (await service.client.get(f"/orders/{order_id}", headers=lines)).status_code == 304
