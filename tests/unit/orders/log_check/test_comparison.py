"""What happened to the events, told from their digests alone."""

from collections.abc import Sequence
from uuid import UUID

from orders.log_check.comparison import Mismatch, Stored, explain
from orders.log_check.finding import LogFinding

ORDER = UUID(int=7)


def found(known: str, stored: str, *, first: int = 1, head: int | None = None) -> list[LogFinding]:
    """What is found where the chain knows one letter a position, and the log holds another; a dot is nothing at all."""
    mismatches = [
        Mismatch(position, one.encode(), None if other == "." else Stored(position, ORDER, position, other.encode()))
        for position, (one, other) in enumerate(zip(known, stored, strict=True), first)
        if one != other
    ]
    return explain(mismatches, head=first + len(known) - 1 if head is None else head)


def told(findings: Sequence[LogFinding]) -> list[tuple[str, int, int | None]]:
    return [(finding.what, finding.position, finding.last_position) for finding in findings]


def test_an_event_with_other_bytes_was_changed() -> None:
    (finding,) = found("abcd", "abxd")
    assert told([finding]) == [("changed_event", 3, None)]
    assert finding.text == f"position 3: the event was changed (order {ORDER}, version 3)"
    assert (finding.order_id, finding.version, finding.stored, finding.expected) == (ORDER, 3, "78", "63")


def test_two_events_in_each_others_place_are_swapped() -> None:
    (finding,) = found("abcde", "aecdb")
    assert told([finding]) == [("swapped_events", 2, 5)]
    assert "positions 2 and 5 are swapped" in finding.text


def test_a_hole_is_an_event_that_is_gone() -> None:
    (finding,) = found("abcd", "a.cd")
    assert told([finding]) == [("removed_events", 2, 2)]
    assert finding.text == "position 2: the event is gone (SHA-256 of the event: 62)"


def test_events_that_are_gone_side_by_side_are_told_together() -> None:
    findings = found("abcdefg", "a..de.g")
    assert told(findings) == [("removed_events", 2, 3), ("removed_events", 6, 6)]


def test_nothing_after_the_head_is_a_tail_that_was_cut() -> None:
    (finding,) = found("abcdef", "abcd..", head=4)
    assert told([finding]) == [("missing_tail", 5, 6)]
    assert finding.text == "events 5 to 6 are missing at the end"


def test_a_hole_that_was_closed_by_moving_the_rest_up_is_told_as_one_removed_event() -> None:
    findings = found("abcdef", "abdef.", head=5)
    assert told(findings) == [("removed_events", 3, 3), ("moved_events", 3, 5)]
    assert findings[1].text == "positions 3 to 5 hold what stood 1 positions later"


def test_an_event_that_was_inserted_moved_the_rest_down() -> None:
    assert told(found("abcde", "abxcd")) == [
        ("inserted_event", 3, None),
        ("moved_events", 4, 5),
        ("removed_events", 5, 5),
    ]


def test_an_event_in_the_place_of_one_that_was_removed_stands_where_it_stands() -> None:
    assert told(found("abc", "xbc")) == [("changed_event", 1, None)]


def test_several_things_at_once_are_each_told() -> None:
    assert told(found("abcdefgh", "bac.exgh", first=11)) == [
        ("swapped_events", 11, 12),
        ("removed_events", 14, 14),
        ("changed_event", 16, None),
    ]
