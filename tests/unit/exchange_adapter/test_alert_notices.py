"""When persons are told of alerts: soon, seldom, and truly in the end."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange_adapter.alert_board import OpenKind, Told
from exchange_adapter.alert_notices import next_told
from exchange_adapter.bounds import ALERT_PAUSE_S, ALERT_POLL_S, WEBHOOK_RETRY_S
from tests.support.alert_scene import HELD, PARKED, Scene, telling
from tests.support.virtual_time import EPOCH, pass_time


def test_the_first_alert_of_a_kind_is_told_at_once_with_what_it_is_about() -> None:
    async def test(scene: Scene) -> None:
        await pass_time(5)
        scene.board.alerts[HELD] = 7
        await pass_time(ALERT_POLL_S)
        ((_, notice),) = scene.receiver.arrived
        assert (notice["id"], notice["kind"], notice["state"], notice["alerts"]) == ("order_held/1", HELD, "open", 7)
        assert len(notice["examples"]) == 5
        assert notice["examples"][0]["key"] == "order 0"
        assert notice["since"] == "2026-11-02T23:50:00Z"
        assert notice["summary"] == "Orders held until a person settles them: 7, since 23:50 UTC. in doubt"

    (line,) = telling(test)
    assert (line["event"], line["log_level"], line["kind"], line["alerts"]) == ("alert open", "error", HELD, 7)
    assert line["examples"][0] == {"key": "order 0", "detail": "in doubt"}


def test_a_growing_number_is_told_once_a_pause_and_the_end_once() -> None:
    async def test(scene: Scene) -> None:
        for count in range(1, 100):
            scene.board.alerts[HELD] = count
            await pass_time(1)
        scene.board.alerts[HELD] = 0
        await pass_time(10 * ALERT_PAUSE_S)
        told = [(notice["state"], notice["alerts"]) for _, notice in scene.receiver.arrived]
        assert told == [("open", 1), ("open", 61), ("cleared", 0)]
        assert scene.receiver.arrived[-1][1]["summary"].endswith(": none any more")
        assert scene.receiver.arrived[-1][1]["since"] is None

    lines = telling(test)
    assert [(line["event"], line["log_level"]) for line in lines] == [
        ("alert open", "error"),
        ("alert open", "error"),
        ("alert cleared", "info"),
    ]


def test_a_new_alert_is_told_although_another_of_its_kind_ended_at_the_same_time() -> None:
    async def test(scene: Scene) -> None:
        scene.board.alerts[HELD] = 1
        await pass_time(ALERT_PAUSE_S + 10)
        scene.board.newest[HELD] = scene.loop.utc()
        await pass_time(10 * ALERT_PAUSE_S)
        assert [(one["id"], one["alerts"]) for _, one in scene.receiver.arrived] == [
            ("order_held/1", 1),
            ("order_held/2", 1),
        ]

    telling(test)


def test_each_kind_is_told_for_itself() -> None:
    async def test(scene: Scene) -> None:
        scene.board.alerts[HELD] = 1
        await pass_time(2)
        scene.board.alerts[PARKED] = 1
        await pass_time(2)
        assert scene.receiver.ids == ["order_held/1", "order_parked/1"]

    telling(test)


PAUSE_S = 6.0  # a short one takes fewer looks
MOVES = st.lists(st.tuples(st.integers(0, 8), st.integers(0, 2), st.integers(0, 2)), max_size=12)
BREAKS = st.lists(st.integers(1, 15), max_size=3)


@settings(max_examples=100)
@given(MOVES, BREAKS, BREAKS)
def test_at_most_one_notice_a_pause_and_the_last_is_the_last_state(
    moves: list[tuple[int, int, int]], breaks: list[int], kills: list[int]
) -> None:
    """However alerts come and go, the receiver breaks and the process is killed."""

    async def test(scene: Scene) -> None:
        async def restless() -> None:
            for wait_s in kills:
                await pass_time(wait_s)
                await scene.kill()
                scene.start()

        async def breaking() -> None:
            for wait_s in breaks:
                scene.receiver.failing = not scene.receiver.failing
                await pass_time(wait_s)
            scene.receiver.failing = False

        around = [scene.loop.create_task(work) for work in (restless(), breaking())]
        opened: list[datetime] = []
        for wait_s, ending, opening in moves:
            await pass_time(wait_s)
            opened = opened[ending:] + [scene.loop.utc()] * opening
            scene.board.alerts[HELD] = len(opened)
            scene.board.newest[HELD] = max(opened, default=EPOCH)
        await asyncio.gather(*around)
        await pass_time(60)
        check(scene)

    telling(test, pause_s=PAUSE_S)


def check(scene: Scene) -> None:
    alerts, last = scene.board.alerts.get(HELD, 0), scene.receiver.last(HELD)
    assert (last["alerts"] if last else 0) == alerts
    assert last is None or last["state"] == ("open" if alerts else "cleared")
    assert not alerts or scene.board.notices[HELD].newest == scene.board.newest[HELD], "a new alert was never told"
    ids = scene.receiver.ids
    assert ids == sorted(set(ids), key=ids.index), "a notice came twice although none was lost"
    times = [at for at, _ in scene.receiver.arrived]
    assert all(later - earlier >= PAUSE_S for earlier, later in pairwise(times))
    assert scene.board.notices.get(HELD) is None or scene.board.notices[HELD].delivered


def test_a_broken_webhook_is_tried_less_and_less_often_and_gets_the_newest_state() -> None:
    async def test(scene: Scene) -> None:
        scene.receiver.failing = True
        scene.board.alerts[HELD] = 1
        await pass_time(600)
        scene.board.alerts[HELD] = 5
        await pass_time(600)
        gaps = [later - earlier for earlier, later in pairwise(scene.receiver.tried_at)]
        assert gaps[0] <= WEBHOOK_RETRY_S[0]
        assert max(gaps) <= WEBHOOK_RETRY_S[1]
        assert len(gaps) < 60
        scene.receiver.failing = False
        await pass_time(WEBHOOK_RETRY_S[1])
        ((_, notice),) = scene.receiver.arrived
        assert (notice["id"], notice["alerts"]) == ("order_held/2", 5)

    lines = telling(test)
    assert [line["alerts"] for line in lines if line["event"] == "alert open"] == [1, 5], "the log waits for no webhook"


def test_one_kind_that_cannot_be_posted_keeps_no_other_back() -> None:
    async def test(scene: Scene) -> None:
        scene.receiver.failing = True
        scene.board.alerts[HELD] = 1
        await pass_time(120)
        scene.receiver.failing = False
        scene.board.alerts[PARKED] = 1
        await pass_time(2)
        assert scene.receiver.ids[:1] == ["order_parked/1"]

    telling(test)


def test_a_process_that_dies_before_the_answer_leaves_a_repeat_that_its_number_tells() -> None:
    async def test(scene: Scene) -> None:
        scene.receiver.deaf = True
        scene.board.alerts[HELD] = 1
        await pass_time(0.4)
        await scene.kill()
        assert scene.receiver.ids == ["order_held/1"]
        scene.receiver.deaf = False
        scene.start()
        await pass_time(1)
        assert scene.receiver.ids == ["order_held/1", "order_held/1"]

    telling(test)


def test_an_end_is_told_also_where_no_one_knows_whether_the_beginning_was() -> None:
    async def test(scene: Scene) -> None:
        scene.receiver.deaf = True
        scene.board.alerts[HELD] = 1
        await pass_time(0.4)
        await scene.kill()
        scene.board.alerts[HELD] = 0
        scene.receiver.deaf = False
        scene.start()
        await pass_time(ALERT_PAUSE_S + 1)
        assert [(notice["id"], notice["state"]) for _, notice in scene.receiver.arrived] == [
            ("order_held/1", "open"),
            ("order_held/2", "cleared"),
        ]

    telling(test)


def test_one_process_tells_and_another_goes_on_where_it_ended() -> None:
    async def test(scene: Scene) -> None:
        scene.board.leads = False
        scene.board.alerts[HELD] = 1
        await pass_time(100)
        assert scene.receiver.arrived == []
        scene.board.notices[HELD] = Told(number=4, open=True, alerts=1, newest=EPOCH, told_at=EPOCH, delivered=True)
        scene.board.leads = True
        await pass_time(100)
        assert scene.receiver.arrived == []
        scene.board.alerts[HELD] = 2
        await pass_time(1)
        assert scene.receiver.ids == ["order_held/5"]

    telling(test)


def test_while_the_database_is_away_it_says_so_once_and_goes_on_afterwards() -> None:
    async def test(scene: Scene) -> None:
        scene.board.away = True
        scene.board.alerts[HELD] = 1
        await pass_time(30)
        assert scene.receiver.arrived == []
        scene.board.away = False
        await pass_time(1)
        assert scene.receiver.ids == ["order_held/1"]

    lines = telling(test)
    assert [line["event"] for line in lines] == ["alerts wait for the database", "alert open"]


def test_what_another_process_told_during_an_outage_of_ours_is_not_told_again() -> None:
    async def test(scene: Scene) -> None:
        await pass_time(1)
        scene.board.away = True
        scene.board.alerts[HELD] = 1
        await pass_time(1)
        scene.board.notices[HELD] = Told(number=1, open=True, alerts=1, newest=EPOCH, told_at=EPOCH, delivered=True)
        scene.board.away = False
        await pass_time(100)
        assert scene.receiver.arrived == []

    telling(test)


@pytest.mark.parametrize("ahead_s", [3600.0, -3600.0])
def test_a_clock_that_is_set_silences_no_alert(ahead_s: float) -> None:
    told = Told(number=1, open=True, alerts=1, told_at=EPOCH + timedelta(seconds=ahead_s), newest=EPOCH, delivered=True)
    due = next_told(told, OpenKind(2, EPOCH, EPOCH), EPOCH)
    assert due is not None
    assert (due.number, due.alerts, due.told_at) == (2, 2, EPOCH)
