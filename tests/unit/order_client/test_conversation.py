"""Calls and their repeats: what is asked again, when, for how long, and what is told in the end."""

from typing import Any

import pytest

from order_client.answers import Answer
from order_client.bounds import ATTEMPT_TIMEOUT_S, MAX_BACKOFF_S
from order_client.conversation import Outcome
from order_client.errors import (
    Conflict,
    InDoubt,
    Invalid,
    NotFound,
    NotPermitted,
    OrderEnded,
    Refused,
    TooManyRequests,
    Unavailable,
    UnexpectedAnswer,
    Unreachable,
)
from tests.support.client_talks import LOST, ORDER_ID, REFUSED, Talk, answer, problem, shown_order

TERMS: Any = {"symbol": "EURUSD", "quantity": 10}
PLACED = answer(201, shown_order(client_order_id="k", position=7), Orders_Position="7")
NOT_PLACED = answer(500, {"message": "Internal server error while placing the order"}, Retry_After="1")
BUSY = problem(503, "store-overloaded", Retry_After="2")
UNKNOWN = problem(503, "commit-unknown", Retry_After="1")
OVER_RATE = problem(429, "over-rate", Retry_After="3")


@pytest.mark.parametrize("failure", [LOST, REFUSED, NOT_PLACED, BUSY, UNKNOWN, OVER_RATE, answer(502, "proxy")])
def test_an_order_is_placed_again_with_the_same_key_until_it_is_there(failure: Outcome) -> None:
    talk = Talk(failure, failure, PLACED)
    order = talk.run(talk.desk.place(TERMS, None, None))
    assert order.position == talk.desk.position == 7
    keys = [body["client_order_id"] for body in talk.bodies()]
    assert len(keys) == 3
    assert len(set(keys)) == 1


def test_each_order_has_a_key_of_its_own_and_the_callers_is_kept() -> None:
    talk = Talk(PLACED)
    for key in (None, None, "mine"):
        talk.run(talk.desk.place(TERMS, key, None))
    first, second, third = (body["client_order_id"] for body in talk.bodies())
    assert third == "mine"
    assert first != second


def test_a_repeat_waits_as_long_as_it_is_told_to() -> None:
    talk = Talk(BUSY, OVER_RATE, PLACED)
    talk.run(talk.desk.place(TERMS, None, None))
    assert talk.pauses == [2.0, 3.0]


def test_who_asks_for_it_hears_of_every_repeat() -> None:
    heard: list[Exception] = []
    talk = Talk(LOST, BUSY, PLACED, on_repeat=heard.append)
    talk.run(talk.desk.place(TERMS, None, None))
    assert [type(one) for one in heard] == [Unreachable, Unavailable]


def test_pauses_double_up_to_a_bound_and_jitter_shortens_them() -> None:
    talk = Talk(REFUSED, timeout_s=60.0)
    with pytest.raises(Unreachable):
        talk.run(talk.desk.place(TERMS, None, None))
    assert talk.pauses[:3] == [0.1, 0.2, 0.4]
    assert max(talk.pauses) == MAX_BACKOFF_S
    shortened = Talk(REFUSED, timeout_s=1.0, jitter=lambda: 0.0)
    with pytest.raises(Unreachable):
        shortened.run(shortened.desk.place(TERMS, None, None))
    assert shortened.pauses[:3] == [0.05, 0.1, 0.2]


@pytest.mark.parametrize("timeout_s", [0.0, 1.0, 20.0])
def test_repeats_end_in_time(timeout_s: float) -> None:
    talk = Talk(LOST, lost_s=4.0)
    with pytest.raises(InDoubt):
        talk.run(talk.desk.place(TERMS, None, timeout_s))
    assert talk.now <= timeout_s
    assert all(send.timeout_s <= ATTEMPT_TIMEOUT_S for send in talk.sent)
    assert len(talk.sent) == 1 + len(talk.pauses)


@pytest.mark.parametrize("last", [LOST, REFUSED, BUSY, NOT_PLACED])
def test_an_order_that_may_exist_is_told_so_with_its_key(last: Outcome) -> None:
    """The first attempt may have arrived; that the later ones did not, settles nothing."""
    talk = Talk(LOST, last)
    with pytest.raises(InDoubt, match="the order may exist") as told:
        talk.run(talk.desk.place(TERMS, "k", None))
    assert told.value.client_order_id == "k"


def test_the_order_that_a_500_names_is_told() -> None:
    talk = Talk(answer(500, {"message": "m"}, Location=f"/orders/{ORDER_ID}"), REFUSED)
    with pytest.raises(InDoubt) as told:
        talk.run(talk.desk.place(TERMS, "k", None))
    assert told.value.order_id == ORDER_ID


@pytest.mark.parametrize(
    ("failure", "kind"), [(REFUSED, Unreachable), (BUSY, Unavailable), (OVER_RATE, TooManyRequests)]
)
def test_an_order_that_surely_does_not_exist_is_in_no_doubt(failure: Outcome, kind: type[Exception]) -> None:
    talk = Talk(failure)
    with pytest.raises(kind) as told:
        talk.run(talk.desk.place(TERMS, "k", None))
    assert not isinstance(told.value, InDoubt)
    assert getattr(told.value, "client_order_id", None) == "k"


@pytest.mark.parametrize(
    ("refused", "kind"),
    [
        (problem(422, "invalid-order", "Quantity must be an integer"), Invalid),
        (problem(400, "malformed-body"), Invalid),
        (problem(409, "key-reused"), Conflict),
        (problem(413), Invalid),
        (problem(404), NotFound),
        (problem(400, "order-ended"), OrderEnded),
        (problem(401), NotPermitted),
        (problem(403), NotPermitted),
        (problem(402), Refused),
    ],
)
def test_a_refusal_is_told_at_once(refused: Answer, kind: type[Exception]) -> None:
    talk = Talk(refused)
    with pytest.raises(kind) as told:
        talk.run(talk.desk.place(TERMS, None, None))
    assert isinstance(told.value, Refused)
    assert (type(told.value), told.value.status, told.value.trace_id) == (kind, refused.status, "t-1")
    assert len(talk.sent) == 1


def test_a_refusal_in_words_that_are_no_text_is_a_refusal() -> None:
    talk = Talk(Answer(422, {}, b'{"detail":"\xff"}'))
    with pytest.raises(Invalid, match="detail"):
        talk.run(talk.desk.place(TERMS, None, None))


def test_a_refusal_names_each_wrong_field() -> None:
    wrong = {"detail": "d", "errors": [{"field": "quantity", "message": "Quantity must be an integer", "more": 1}]}
    talk = Talk(answer(422, wrong))
    with pytest.raises(Invalid, match="d") as told:
        talk.run(talk.desk.place(TERMS, None, None))
    assert [(one.field, one.message) for one in told.value.errors] == [("quantity", "Quantity must be an integer")]


@pytest.mark.parametrize(
    "strange",
    [
        *(answer(200, "hello"), answer(200, []), answer(301, None), answer(201, {})),
        *(
            Answer(200, {}, b"<html>"),
            Answer(201, {}, b'{"symbol":"\xff"}'),
            Answer(201, {}, b'{"more":' + b"[" * 9_000),
        ),
    ],
)
def test_what_is_no_order_service_is_told_as_such(strange: Answer) -> None:
    talk = Talk(strange)
    with pytest.raises(UnexpectedAnswer, match="no answer of an order service"):
        talk.run(talk.desk.place(TERMS, None, None))


def test_the_next_server_is_tried_at_once_where_one_cannot_be_reached_and_is_kept() -> None:
    talk = Talk(REFUSED, LOST, PLACED, PLACED, servers=["http://a/", "http://b", "http://c"])
    for _ in range(2):
        talk.run(talk.desk.place(TERMS, None, None))
    assert [send.url for send in talk.sent] == ["http://a", "http://b", "http://c", "http://c"]
    assert talk.pauses == []


def test_after_every_server_was_tried_there_is_a_pause() -> None:
    talk = Talk(REFUSED, REFUSED, REFUSED, PLACED, servers=["http://a", "http://b"])
    talk.run(talk.desk.place(TERMS, None, None))
    assert [send.url for send in talk.sent] == ["http://a", "http://b", "http://a", "http://b"]
    assert talk.pauses == [0.1]


@pytest.mark.parametrize("servers", ["", [], "127.0.0.1:8000", ["http://a", "ftp://b"]])
def test_a_client_without_an_address_is_refused(servers: Any) -> None:
    with pytest.raises(ValueError, match="base_url"):
        Talk(PLACED, servers=servers)


@pytest.mark.parametrize("failure", [REFUSED, BUSY, OVER_RATE])
def test_a_replace_that_surely_was_not_done_is_repeated(failure: Outcome) -> None:
    talk = Talk(failure, answer(200, shown_order(quantity=20)))
    change = talk.run(talk.desk.replace(ORDER_ID, {"quantity": 20}, None))
    assert (change.order.quantity, change.pending) == (20, False)


@pytest.mark.parametrize("failure", [LOST, UNKNOWN, answer(502, None), problem(500)])
def test_a_replace_that_may_have_been_done_is_not_repeated(failure: Outcome) -> None:
    talk = Talk(failure, answer(200, shown_order()))
    with pytest.raises(InDoubt, match="may have been done") as told:
        talk.run(talk.desk.replace(ORDER_ID, {"quantity": 20}, None))
    assert told.value.order_id == ORDER_ID
    assert len(talk.sent) == 1


@pytest.mark.parametrize(
    ("refused", "now", "pending"),
    [
        (problem(400, "order-ended"), shown_order(status="Canceled", ord_status="Canceled"), False),
        (problem(409, "request-pending"), shown_order(ord_status="PendingCancel"), True),
    ],
)
def test_a_cancel_that_its_lost_attempt_has_done_is_no_refusal(refused: Answer, now: Any, pending: bool) -> None:
    talk = Talk(LOST, refused, answer(200, now))
    change = talk.run(talk.desk.cancel(ORDER_ID, None))
    assert (change.order.ord_status, change.pending) == (now["ord_status"], pending)


def test_a_cancel_that_something_else_forestalled_is_a_refusal() -> None:
    executed = answer(200, shown_order(status="Executed", ord_status="Filled"))
    for outcomes in ([problem(400, "order-ended")], [LOST, problem(400, "order-ended"), executed]):
        talk = Talk(*outcomes)
        with pytest.raises(OrderEnded):
            talk.run(talk.desk.cancel(ORDER_ID, None))


def test_a_cancel_that_the_exchange_has_not_answered_is_pending() -> None:
    talk = Talk(answer(202, shown_order(ord_status="PendingCancel")))
    assert talk.run(talk.desk.cancel(ORDER_ID, None)).pending


def test_a_read_that_nobody_answers_is_in_no_doubt() -> None:
    talk = Talk(LOST)
    with pytest.raises(Unreachable):
        talk.run(talk.desk.get(ORDER_ID, {}))
    assert len(talk.sent) > 5


def test_reads_ask_for_the_highest_position_that_was_seen() -> None:
    talk = Talk(PLACED, answer(200, [], Orders_Position="9"), problem(404, Orders_Position="4"))
    talk.run(talk.desk.place(TERMS, None, None))
    assert talk.rows(talk.desk.orders({})) == []
    with pytest.raises(NotFound):
        talk.run(talk.desk.book("EURUSD", None, None))
    with pytest.raises(NotFound):
        talk.run(talk.desk.get(ORDER_ID, {"min_position": 3}))
    assert talk.targets()[1:] == [
        "/orders?min_position=7",
        "/books/EURUSD?min_position=9",
        f"/orders/{ORDER_ID}?min_position=3",
    ]


def test_reads_of_a_client_that_does_not_keep_its_word_ask_for_nothing() -> None:
    talk = Talk(PLACED, answer(200, []), keeps_word=False)
    talk.run(talk.desk.place(TERMS, None, None))
    talk.rows(talk.desk.trades({"symbol": "EURUSD"}))
    assert talk.targets()[1:] == ["/trades?symbol=EURUSD"]


def test_pages_are_followed_at_the_server_that_was_asked() -> None:
    first, second, third = (shown_order(position=number) for number in (3, 2, 1))
    talk = Talk(answer(200, [first, second], "http://evil.test/orders?cursor=x%3D&side=buy"), answer(200, [third]))
    assert [order.position for order in talk.rows(talk.desk.orders({"side": "buy"}))] == [3, 2, 1]
    assert talk.targets() == ["/orders?side=buy", "/orders?cursor=x%3D&side=buy"]
    assert {send.url for send in talk.sent} == {"http://orders.test"}


def test_no_more_rows_are_asked_for_than_wanted() -> None:
    page = [shown_order()] * 2
    for limit, pages in ((0, 0), (1, 1), (2, 1), (3, 2)):
        talk = Talk(answer(200, page, "/orders?cursor=x"))
        assert len(talk.rows(talk.desk.orders({"limit": limit}))) == limit
        assert len(talk.sent) == pages
    many = Talk(answer(200, []))
    many.rows(many.desk.orders({"limit": 5_000}))
    assert many.targets() == ["/orders?limit=1000"]
