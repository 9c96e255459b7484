"""One order over HTTP: as it is, as it was, and all that happened to it. It needs no projector."""

from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import httpx
import pytest

from orders.domain import commands as c
from tests.support.read_service import ReadService, read_service, wrong_fields
from tests.support.trading_desk import OPENING

pytestmark = pytest.mark.anyio


@pytest.fixture
async def unprojected(database_url: str) -> AsyncIterator[ReadService]:
    """Without a projector."""
    async with read_service(database_url) as service:
        yield service


async def test_one_order_is_never_stale_and_needs_no_projector(unprojected: ReadService) -> None:
    desk = unprojected.desk
    order_id = desk.place("EURUSD", 10)
    assert (await unprojected.get(f"/orders/{order_id}")).json()["status"] == "Placed"
    desk.fill(order_id, 10)
    answer = await unprojected.get(f"/order/{order_id}")
    assert (answer.json()["status"], answer.json()["version"]) == ("Executed", 2)
    assert answer.headers["Orders-Position"] == "2"


async def test_there_is_no_order_of_an_unknown_or_invalid_id(unprojected: ReadService) -> None:
    for path in ("/orders/{}", "/order/{}", "/orders/{}/events"):
        for bad_id in (str(uuid4()), "7", "not-an-id", "{urn}", uuid4().hex, "%00", "ü", "a%2Fb", "%2f", "batch"):
            answer = await unprojected.get(path.format(bad_id))
            shown = httpx.URL(f"http://orders.test/{bad_id}").path[1:]
            assert answer.status_code == 404
            assert answer.json()["detail"] == f"Order with ID: {shown} does not exist"


async def test_an_order_is_shown_as_it_was(unprojected: ReadService) -> None:
    desk = unprojected.desk
    order_id = desk.place("EURUSD", 10)
    desk.fill(order_id, 4)
    desk.fill(order_id, 6)
    path = f"/orders/{order_id}"
    for as_of, filled in [
        ("1", 0),
        ("2", 4),
        ("3", 10),
        ("2026-11-02T09:30:02Z", 4),
        ("2026-11-02T09:30:02.5Z", 4),
        ("2026-11-02T10:30:01+01:00", 0),
        (unprojected.now.isoformat(), 10),
    ]:
        answer = await unprojected.get(path, as_of=as_of)
        assert answer.json()["filled_quantity"] == filled, as_of
        assert answer.headers["Orders-Position"] == str(answer.json()["position"])
    assert (await unprojected.get(path, as_of=(OPENING - timedelta(days=1)).isoformat())).status_code == 404
    assert (await unprojected.get(path, as_of=0)).status_code == 404
    assert wrong_fields(await unprojected.get(path, as_of=4)) == ["as_of"]
    assert wrong_fields(await unprojected.get(path, as_of="yesterday")) == ["as_of"]


async def test_what_an_order_will_be_is_not_told(unprojected: ReadService) -> None:
    order_id = unprojected.desk.place()
    for path in (f"/orders/{order_id}", f"/orders/{order_id}/events"):
        refused = await unprojected.get(path, as_of=(unprojected.now + timedelta(microseconds=1)).isoformat())
        assert wrong_fields(refused) == ["as_of"]
        assert "still to come" in refused.json()["detail"]


async def test_a_history_tells_of_every_event_who_when_why_and_by_what_proof(unprojected: ReadService) -> None:
    desk = unprojected.desk
    order_id = desk.place("EURUSD", 10, "1.1")
    desk.fill(order_id, 4, "1.1", "e1")
    desk.do(order_id, c.RecordBust, exec_id="b1", ref_exec_id="e1")
    desk.do(order_id, c.RecordCanceled, reason="by the venue")
    answer = await unprojected.get(f"/orders/{order_id}/events")
    placed, filled, busted, canceled = answer.json()
    assert (placed["event"], placed["version"], placed["position"], placed["by"]) == ("OrderPlaced", 1, 1, "tests")
    assert (placed["evidence"], placed["reason"], placed["at"]) == (None, None, "2026-11-02T09:30:01Z")
    assert filled["fields"] == {"exec_id": "e1", "quantity": 4, "price": "1.10000", "leaves": None}
    assert (filled["evidence"], filled["ord_status"]) == ("venue_report", "PartiallyFilled")
    assert (busted["evidence"], busted["fields"]) == ("venue_report", {"exec_id": "b1", "ref_exec_id": "e1"})
    assert (canceled["reason"], canceled["status"], canceled["fields"]) == (
        "by the venue",
        "Canceled",
        {"request_id": None},
    )


async def test_a_persons_word_is_named_as_the_evidence_that_it_is(unprojected: ReadService) -> None:
    desk = unprojected.desk
    order_id = desk.place("EURUSD", 10)
    desk.do(order_id, c.StartSubmit, worker="w-1")
    desk.do(order_id, c.RecordSubmitInDoubt, attempt=1, reason="no answer within 10 s")
    desk.do(order_id, c.ResolveDoubt, placed=True, reason="seen at the exchange")
    _, _, doubt, resolved = (await unprojected.get(f"/orders/{order_id}/events")).json()
    assert (doubt["evidence"], doubt["reason"]) == (None, "no answer within 10 s")
    assert (resolved["evidence"], resolved["reason"]) == ("operator", "seen at the exchange")
    assert resolved["changed"]["delivery"] == {"before": "in_doubt", "after": "acked"}


async def test_a_history_tells_what_each_event_changed(unprojected: ReadService) -> None:
    desk = unprojected.desk
    order_id = desk.place("EURUSD", 10, "1.1", client_order_id="k")
    desk.fill(order_id, 4, "1.1")
    desk.do(order_id, c.ReplaceOrder, quantity=12, limit_price=Decimal("1.2"))
    desk.do(order_id, c.RecordReplaced, quantity=12, limit_price=Decimal("1.2"))
    path = f"/orders/{order_id}/events"
    placed, filled, requested, replaced = (await unprojected.get(path)).json()
    assert placed["changed"]["limit_price"] == {"before": None, "after": "1.10000"}
    assert placed["changed"]["client_order_id"] == {"before": None, "after": "k"}
    assert {"symbol", "side", "type", "quantity", "time_in_force", "status"} <= set(placed["changed"])
    assert filled["changed"]["filled_quantity"] == {"before": 0, "after": 4}
    assert set(requested["changed"]) == {"ord_status"}
    assert requested["fields"] == {"quantity": 12, "limit_price": "1.20000"}
    assert replaced["changed"]["limit_price"] == {"before": "1.10000", "after": "1.20000"}
    assert replaced["changed"]["quantity"] == {"before": 10, "after": 12}
    second = await unprojected.get(path, limit=1)
    assert (await unprojected.client.get(second.links["next"]["url"])).json() == [filled]


async def test_a_history_is_paged_oldest_first_and_ends_where_it_was_asked_to(unprojected: ReadService) -> None:
    desk = unprojected.desk
    order_id = desk.place("EURUSD", 100)
    for _ in range(9):
        desk.fill(order_id, 1)
    for as_of, last in [({}, 10), ({"as_of": 7}, 7), ({"as_of": 6}, 6)]:
        versions: list[int] = []
        answer = await unprojected.get(f"/orders/{order_id}/events", limit=3, **as_of)
        while True:
            versions += [one["version"] for one in answer.json()]
            if "next" not in answer.links:
                break
            answer = await unprojected.client.get(answer.links["next"]["url"])
        assert versions == list(range(1, last + 1))
