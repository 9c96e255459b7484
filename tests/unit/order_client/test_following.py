"""Streams: which messages are new, where a stream resumes, and what ends it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from order_client.bounds import MAX_BACKOFF_S, SILENCE_S
from order_client.errors import Invalid, NotFound, Refused, StreamLost, UnexpectedAnswer
from order_client.following import Ended, Frame, NotConnected, Silence, wanted
from order_client.messages import Told
from tests.support.client_streams import LOST, Follow, ModelFeed, control, frame, message, placed, shown
from tests.support.client_talks import Talk, problem

REFUSED = NotConnected("connection refused")


def positions(given: list[dict[str, Any]]) -> list[int]:
    return [one["position"] for one in given]


def test_a_stream_resumes_after_the_last_message_that_it_received() -> None:
    follow = Follow(after=3)
    assert follow.connecting_to == "ws://a/ws?batch=true&after=3"
    assert positions(follow.connected(frame(message(5)), frame(message(6), message(9)), LOST)) == [5, 6, 9]
    assert follow.after == 9
    assert follow.talk.desk.position == 9


def test_a_cut_between_two_messages_of_a_position_neither_loses_nor_repeats_one() -> None:
    follow = Follow(after=4)
    first = frame(message(5, more=True), message(5, more=True, place=1))
    assert [placed(one) for one in follow.connected(first, LOST)] == [(5, 0), (5, 1)]
    assert follow.after == follow.follower.position == 4
    again = frame(message(5, more=True), message(5, more=True, place=1), message(5, place=2), message(6))
    assert [placed(one) for one in follow.connected(again, LOST)] == [(5, 2), (6, 0)]
    assert follow.after == 6


def test_a_second_cut_within_a_position_counts_from_the_furthest() -> None:
    follow = Follow()
    all_three = [message(1, more=True), message(1, more=True, place=1), message(1, place=2)]
    assert len(follow.connected(frame(*all_three[:2]), LOST)) == 2
    assert follow.connected(frame(all_three[0]), LOST) == []
    assert [placed(one) for one in follow.connected(frame(*all_three))] == [(1, 2)]


def test_what_was_received_before_is_dropped() -> None:
    follow = Follow(after=5)
    assert positions(follow.connected(frame(message(5)), frame(message(6)), frame(message(6)), frame(message(7)))) == [
        6,
        7,
    ]


def test_heartbeats_caught_up_and_books_move_the_position_and_only_books_are_given() -> None:
    follow = Follow(after=1)
    assert follow.connected(frame(control("caught_up", 2)), frame(control("heartbeat", 4)), LOST) == []
    assert follow.after == 4
    assert follow.connected(frame(control("book", 9)), frame(control("book", 9)), LOST) == [control("book", 9)] * 2
    assert follow.after == 9


def test_caught_up_is_told_to_who_asks_for_it() -> None:
    follow = Follow(caught_up=True)
    assert follow.connected(frame(message(1), control("caught_up", 1))) == [message(1), control("caught_up", 1)]


def test_a_stream_that_fell_behind_goes_on_without_repeat() -> None:
    follow = Follow()
    told = follow.connected(
        frame(message(1), message(2, more=True)),
        frame(control("fell_behind", 1)),
        frame(message(2, more=True), message(2, place=1), message(3)),
    )
    assert [placed(one) for one in told] == [(1, 0), (2, 0), (2, 1), (3, 0)]


def test_the_position_is_that_of_what_was_taken_not_of_what_waits() -> None:
    follow = Follow(after=2)
    follower = follow.follower
    follow.connected()
    follower.tell(frame(message(3), message(4), control("heartbeat", 8)))
    seen = [follower.position]
    while follower.ready:
        follower.take()
        seen.append(follower.position)
    assert seen == [2, 3, 8]


@pytest.mark.parametrize("code", [1001, 1006, 1008, 1011, 1012, 1013, 4408])
def test_every_close_code_but_one_is_resumed(code: int) -> None:
    follow = Follow(after=0)
    follow.connected(frame(message(7)), Ended(code, "the reason"))
    assert follow.after == 7
    assert follow.lost == ["the reason"]


def test_a_wrong_parameter_is_told_at_once() -> None:
    with pytest.raises(Invalid, match="symbol: not supported"):
        Follow().connected(Ended(4422, "symbol: not supported"))


def test_silence_is_a_dead_connection() -> None:
    follow = Follow(servers=["http://a", "http://b"])
    follow.connected(frame(message(1)), Silence())
    assert follow.connecting_to.startswith("ws://b/")
    assert follow.lost == [f"nothing was heard for {SILENCE_S:g} s"]


def test_a_service_that_is_away_is_tried_again_and_again_with_growing_pauses() -> None:
    follow = Follow()
    for _ in range(20):
        follow.fails(REFUSED)
    assert follow.after == 0
    assert follow.pauses[:3] == [0.1, 0.2, 0.4]
    assert max(follow.pauses) == MAX_BACKOFF_S


def test_pauses_begin_anew_after_progress_and_go_on_growing_without() -> None:
    follow = Follow()
    for _ in range(3):
        follow.fails(REFUSED)
    follow.connected(frame(control("caught_up", 0)), LOST)
    follow.connected(frame(message(1)), LOST)
    follow.fails(REFUSED)
    assert follow.after == 1
    assert follow.pauses == [0.1, 0.2, 0.4, 0.8, 0.1, 0.2]


def test_the_next_server_is_tried_at_once_and_a_slow_client_stays() -> None:
    follow = Follow(servers=["http://a", "https://b"])
    follow.fails(REFUSED)
    assert follow.connecting_to.startswith("wss://b/")
    follow.connected(frame(message(1)), Ended(4408, "too slow: resume with after=1"))
    assert follow.connecting_to.startswith("wss://b/")
    follow.connected(Ended(1012, "the service restarts"))
    assert follow.connecting_to.startswith("ws://a/")
    assert follow.pauses == [0.0, 0.0, 0.1]


def test_a_stream_gives_up_after_so_long_without_progress() -> None:
    follow = Follow(after=3, give_up_after_s=1.0)
    follow.connected(frame(message(4)), LOST)

    def fail_on() -> None:
        while True:
            follow.fails(REFUSED)

    with pytest.raises(StreamLost, match="after 4") as lost:
        fail_on()
    assert lost.value.position == 4
    assert 1.0 <= sum(follow.pauses) <= 2.0


def test_progress_sets_the_time_to_give_up_back() -> None:
    follow = Follow(give_up_after_s=1.0)
    for position in range(1, 20):
        follow.fails(REFUSED)
        follow.fails(REFUSED)
        assert follow.connected(frame(message(position)), LOST) == [message(position)]


def test_who_resumed_and_heard_nothing_new_has_not_been_without_the_service_since() -> None:
    follow = Follow(give_up_after_s=5.0)
    follow.connected(frame(control("caught_up", 3)), LOST)
    follow.connected(frame(control("caught_up", 3)))
    follow.talk.now += 12.0  # connected, and quiet
    follow.hears(LOST)
    assert follow.after == 3


def test_what_cannot_be_read_was_not_received_and_comes_again() -> None:
    def read(told: Told) -> dict[str, Any] | None:
        if is_old and b"new kind" in told.json:
            raise UnexpectedAnswer("what is this?")
        return shown(told)

    is_old, follow = True, Follow(read=read)
    both = frame(message(1), message(2, kind="new kind", more=True), message(2, place=1))
    follow.connected()
    with pytest.raises(UnexpectedAnswer):
        follow.follower.tell(both)
    assert follow.follower.take() == message(1)
    assert follow.after == follow.follower.position == follow.talk.desk.position == 1
    is_old = False
    assert [placed(one) for one in follow.connected(both)] == [(2, 0), (2, 1)]


def test_who_was_never_served_is_told_what_is_wrong() -> None:
    with pytest.raises(NotFound):
        Follow().fails(NotConnected("HTTP 404", problem(404)))
    with pytest.raises(Refused):
        Follow().fails(NotConnected("HTTP 401", problem(401)))


def test_refusals_that_pass_are_waited_out() -> None:
    follow = Follow()
    for status in (429, 500, 502, 503):
        follow.fails(NotConnected(f"HTTP {status}", problem(status)))
    follow.connected(frame(message(1)), LOST)
    follow.fails(NotConnected("HTTP 404", problem(404)))
    assert follow.after == 1


@pytest.mark.parametrize(
    "nonsense", ["hello", "[1]", '{"event": "x"}', b"\xff", b'{"event":"\xff"}', "[", '{"position": "1"}']
)
def test_nonsense_is_told_as_such(nonsense: str | bytes) -> None:
    with pytest.raises(UnexpectedAnswer):
        Follow().connected(Frame(nonsense))


def test_an_unknown_option_is_refused() -> None:
    with pytest.raises(TypeError, match="no option symbl"):
        wanted({"symbl": "EURUSD"})  # type: ignore[typeddict-unknown-key]


def test_a_stream_has_its_own_way_through_the_servers() -> None:
    talk = Talk(servers=["http://a", "http://b"])
    follow = Follow(servers=["http://a", "http://b"])
    follow.fails(REFUSED)
    assert follow.talk.desk.servers.url == talk.desk.servers.url == "http://a"


class _Drawn:
    """Whims from hypothesis. A connection may always bring one message, so that there is an end."""

    def __init__(self, data: st.DataObject) -> None:
        self._data = data
        self._cuts_left = 20

    def cuts(self) -> bool:
        cut = self._cuts_left > 0 and self._one_in(4)
        self._cuts_left -= cut
        return cut

    def falls_behind(self) -> bool:
        behind = self._cuts_left > 0 and self._one_in(10)
        self._cuts_left -= behind
        return behind

    def says_heartbeat(self) -> bool:
        return self._one_in(5)

    def sends_book(self) -> bool:
        return self._one_in(5)

    def frame_size(self) -> int:
        return self._data.draw(st.integers(1, 4))

    def starts_earlier(self) -> int:
        return self._data.draw(st.integers(0, 2))

    def _one_in(self, number: int) -> bool:
        return self._data.draw(st.integers(1, number)) == number


@given(messages_at=st.lists(st.integers(0, 3), max_size=12), data=st.data())
def test_whatever_is_cut_a_stream_gives_exactly_the_log(messages_at: list[int], data: st.DataObject) -> None:
    feed = ModelFeed(messages_at, _Drawn(data))
    follow = Follow()
    given: list[dict[str, Any]] = []
    while follow.follower.position < feed.head:
        frames = list(feed.serve(follow.after))
        given += [one for one in follow.connected(*frames, LOST) if "event" in one]
    assert given == feed.messages


def test_messages_are_given_as_json_just_as_they_came() -> None:
    text = json.dumps(message(1, later={"a": [1, 2]}))
    follow = Follow()
    assert follow.connected(Frame(f"[{text}, {text.replace('1', '2', 1)}]"))[0] == json.loads(text)
