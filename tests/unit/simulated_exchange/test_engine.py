"""Whatever is asked of it in whatever order: the book agrees with a naive one, and the journal is the state."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulated_exchange.audit import audit
from simulated_exchange.entries import Entry, encode_entry
from simulated_exchange.protocol import CanceledReport, FilledReport, ReplacedReport
from simulated_exchange.state import ExchangeState
from tests.support.exchange_floor import FILL_DELAY, JOURNAL_ID, MORNING, SECOND, Floor
from tests.support.naive_venue import NaiveVenue

Action = tuple[Any, ...]

prices = st.sampled_from(["1.07", "1.08", "1.09"])
submits = st.tuples(
    st.just("submit"),
    st.sampled_from(["buy", "sell"]),
    st.integers(1, 9),
    st.one_of(prices, prices, prices, st.none()),
    st.sampled_from(["gtc", "gtc", "gtc", "day", "ioc", "fok"]),
)
places = st.integers(0, 1_000)  # which of the orders so far
agains = st.tuples(st.just("again"), places)
cancels = st.tuples(st.just("cancel"), places)
replaces = st.tuples(st.just("replace"), places, st.integers(1, 12), st.one_of(st.none(), prices))
waits = st.tuples(st.just("wait"), st.sampled_from([0, 1, SECOND, 4 * SECOND, 5 * SECOND, 17 * 3_600 * SECOND]))

houses = st.tuples(st.just("house"), st.booleans())
busts = st.tuples(st.just("bust"), places)
corrections = st.tuples(st.just("correct"), places, st.integers(1, 12), st.one_of(st.none(), prices))


def with_names(script: list[Action]) -> list[Action]:
    """The same with an order's name as the second part of each action but a wait."""
    named: list[Action] = []
    submitted: list[Action] = []
    for kind, *rest in script:
        if kind == "submit":
            submitted.append((kind, f"o{len(submitted)}", *rest))
            named.append(submitted[-1])
        elif kind in ("wait", "house") or not submitted:
            named.append((kind if kind in ("wait", "house") else "wait", rest[0]))
        elif kind == "again":
            named.append(submitted[rest[0] % len(submitted)])
        else:
            named.append((kind, submitted[rest[0] % len(submitted)][1], *rest[1:]))
    return named


# Mostly submits, and never a few: most of what can go wrong takes a book with something in it.
scripts = st.lists(
    st.one_of(submits, submits, submits, cancels, replaces, replaces, agains, waits, houses), min_size=25, max_size=60
).map(with_names)
# The same with what a person does to executions, which no naive venue knows.
amended_scripts = st.lists(
    st.one_of(submits, submits, submits, cancels, replaces, busts, corrections, waits, houses), min_size=25, max_size=60
).map(with_names)


def perform(floor: Floor, number: int, action: Action) -> None:
    match action:
        case "submit", name, side, quantity, price, time_in_force:
            floor.submit(name, side=side, quantity=quantity, limit_price=price, time_in_force=time_in_force)
        case "cancel", name:
            floor.cancel(name, f"request-{number}", base(floor, name))
        case "replace", name, quantity, price:
            floor.replace(name, f"request-{number}", base(floor, name), quantity=quantity, limit_price=price)
        case "wait", microseconds:
            floor.wait(microseconds)
        case "house", is_open:
            floor.house.is_open = is_open
        case "bust", name:
            floor.bust(name)
        case "correct", name, quantity, price:
            floor.correct(name, quantity, price)


def base(floor: Floor, name: str) -> str:
    order = floor.state.orders.get(name)
    return name if order is None else order.terms_id


def perform_naively(venue: NaiveVenue, now: int, action: Action) -> None:
    match action:
        case "submit", name, side, quantity, price, time_in_force:
            venue.submit(name, side, quantity, price and Decimal(price), time_in_force, now)
        case "cancel", name:
            venue.cancel(name, now)
        case "replace", name, quantity, price:
            venue.replace(name, quantity, price and Decimal(price), now)
        case "house", is_open:
            venue.house_open = is_open
        case _:
            venue.pass_time(now)


def play(script: list[Action], seed: int = 1) -> Floor:
    floor = Floor(seed)
    for number, action in enumerate(script):
        perform(floor, number, action)
    return floor


def picture(state: ExchangeState) -> object:
    """Everything that the exchange knows, to be compared."""
    books = {
        symbol: [[order.order_id for order in book.half(side).in_priority()] for side in ("buy", "sell")]
        for symbol, book in state.books.items()
    }
    return (
        msgspec.to_builtins(state.orders),
        {symbol: halves for symbol, halves in books.items() if halves != [[], []]},
        msgspec.to_builtins(state.requests),
        (state.entries, state.seq, state.now, state.working, state.awaiting_house),
        state.next_timer() and state.next_timer()[:2],  # type: ignore[index]
    )


@given(scripts)
@settings(max_examples=120)
def test_orders_and_queues_are_those_of_a_naive_venue_after_every_step(script: list[Action]) -> None:
    floor, naive = Floor(), NaiveVenue(1, FILL_DELAY)
    for number, action in enumerate(script):
        perform(floor, number, action)
        perform_naively(naive, floor.now, action)
        for name, expected in naive.orders.items():
            order = floor.state.orders[name]
            assert (order.state, order.quantity, order.filled) == (
                expected.state,
                expected.quantity,
                expected.filled,
            ), name
        for side in ("buy", "sell"):
            assert floor.resting(side) == [order.name for order in naive.line(side)]


@given(amended_scripts)
@settings(max_examples=60)
def test_the_book_is_never_crossed(script: list[Action]) -> None:
    floor = Floor()
    for number, action in enumerate(script):
        perform(floor, number, action)
        assert not crossed(floor)
        for order in floor.state.orders.values():
            assert 0 <= order.filled <= order.quantity
            assert order.filled == sum(fill.quantity for fill in order.fills or [])


@given(scripts)
@settings(max_examples=60)
def test_quantities_are_conserved(script: list[Action]) -> None:
    floor = play(script)
    for order in floor.state.orders.values():
        assert 0 <= order.filled <= order.quantity
        assert order.filled == sum(fill.quantity for fill in order.fills or [])
    fills = [report for report in floor.all_reports() if isinstance(report, FilledReport)]
    traded = {"buy": 0, "sell": 0}
    for report in fills:
        if report.liquidity == "book":
            traded[floor.state.orders[report.order_id].side] += report.quantity
    assert traded["buy"] == traded["sell"]
    working = [order for order in floor.state.orders.values() if order.state == "working"]
    assert floor.state.working == len(working)
    assert floor.state.awaiting_house == sum(order.house_due is not None for order in working)


def crossed(floor: Floor) -> bool:
    bids, asks = floor.resting("buy"), floor.resting("sell")
    orders = floor.state.orders
    return bool(bids and asks) and orders[bids[0]].resting_price >= orders[asks[0]].resting_price


@given(amended_scripts)
@settings(max_examples=60)
def test_reports_are_numbered_without_a_hole_and_add_up(script: list[Action]) -> None:
    floor = play(script)
    assert [report.seq for report in floor.all_reports()] == list(range(1, floor.state.seq + 1))
    assert [entry.n for entry in floor.entries] == list(range(1, len(floor.entries) + 1))
    assert [entry.at for entry in floor.entries] == sorted(entry.at for entry in floor.entries)
    result = audit(floor.entries)
    assert result.findings == []
    assert {name: order.state for name, order in result.orders.items()} == {
        name: order.state for name, order in floor.state.orders.items()
    }


@given(amended_scripts, st.integers(0, 60))
@settings(max_examples=60)
def test_an_exchange_that_restarts_goes_on_as_if_it_had_not(script: list[Action], cut: int) -> None:
    straight = play(script)
    before = play(script[:cut])
    after = Floor()
    after.now = before.now
    after.house.is_open = before.house.is_open
    for entry in before.entries:
        stored = msgspec.json.decode(encode_entry(entry)[0], type=Entry)
        after.state.apply(stored)
    assert picture(after.state) == picture(before.state)
    after.entries = list(before.entries)
    for number, action in enumerate(script[cut:], start=cut):
        perform(after, number, action)
    assert written(after) == written(straight)
    assert picture(after.state) == picture(straight.state)


def written(floor: Floor) -> list[bytes]:
    return [encode_entry(entry)[0] for entry in floor.entries]


@given(amended_scripts)
@settings(max_examples=30)
def test_the_same_seed_and_the_same_inputs_write_the_same_journal(script: list[Action]) -> None:
    assert written(play(script)) == written(play(script))


def test_another_seed_gives_other_delays_and_prices() -> None:
    script: list[Action] = [("submit", f"o{number}", "buy", 5, None, "gtc") for number in range(5)] + [
        ("wait", 10 * SECOND)
    ]
    one, two = play(script, seed=1), play(script, seed=2)
    assert [entry.at for entry in one.entries] != [entry.at for entry in two.entries]


def test_a_report_on_the_wire_is_the_journals_bytes() -> None:
    floor = play([("submit", "o1", "buy", 5, "1.08", "gtc"), ("submit", "o2", "sell", 5, "1.08", "gtc")])
    line, reports = encode_entry(floor.entries[1])
    assert len(reports) == 3
    assert all(report.strip() in line for report in reports)


def test_a_request_before_what_is_due_is_a_mistake_of_the_caller() -> None:
    floor = Floor()
    floor.buy("market", 10)
    request = msgspec.structs.replace(floor.entries[0].input, order_id="other")
    with pytest.raises(ValueError, match="before advance"):
        floor.engine.handle(request, MORNING + 6 * SECOND)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="before advance"):
        floor.engine.handle(request, MORNING - 1)  # type: ignore[arg-type]


def test_ids_are_unique_to_the_journal() -> None:
    floor = play([("submit", "o1", "buy", 5, None, "gtc"), ("wait", 10 * SECOND)])
    assert floor.order("o1")["venue_order_id"] == f"V{JOURNAL_ID[:8]}-1"
    assert floor.order("o1")["executions"][0]["exec_id"] == f"E{JOURNAL_ID[:8]}-2"


def test_changes_are_reported_with_their_request() -> None:
    floor = Floor()
    floor.buy("bid", 10, "1.08")
    floor.replace("bid", "r", quantity=12)
    floor.cancel("bid", "c", base="r")
    _, changed, canceled = floor.all_reports()
    assert isinstance(changed, ReplacedReport)
    assert isinstance(canceled, CanceledReport)
    assert (changed.request_id, changed.base, canceled.request_id) == ("r", "bid", "c")
