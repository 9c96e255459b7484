"""Every refusal of the read side has its place in the table."""

from collections.abc import Iterator

from projections import errors
from projections.api.problems import PROBLEMS


def kinds_of(kind: type[Exception]) -> Iterator[type[Exception]]:
    for one in kind.__subclasses__():
        yield one
        yield from kinds_of(one)


def test_every_read_error_is_a_problem() -> None:
    assert set(kinds_of(errors.ReadError)) == set(PROBLEMS)
    assert {status for status, _ in PROBLEMS.values()} == {404, 503}
