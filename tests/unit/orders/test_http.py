"""What every HTTP border takes alike: entity tags."""

import pytest

from orders.http import etag_of, holds


def test_an_entity_tag_is_strong_and_quoted() -> None:
    assert etag_of(7) == '"7"'


@pytest.mark.parametrize(
    "lines",
    [
        ['"7"'],
        ['W/"7"'],
        ['"6", "7"'],
        ['"6","7" ,"8"'],
        [' , "7",, '],
        ['"a,b", "7"'],
        ['"6"', 'W/"7"'],
        ["*"],
        [" * "],
    ],
)
def test_a_client_that_names_the_tag_holds_the_order(lines: list[str]) -> None:
    assert holds(lines, etag_of(7))


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [""],
        ['"6"'],
        ["7"],
        ['"77"'],
        ['"a,7"'],
        ['w/"7"'],
        ['"7'],
        ['"7" "8"'],
        ['"7", *'],
        ['"7", x'],
        ['"7', '"'],
        ['"6"' * 10_000],
        ["," * 10_000 + "x"],
    ],
)
def test_any_other_header_counts_for_nothing(lines: list[str]) -> None:
    assert not holds(lines, etag_of(7))
