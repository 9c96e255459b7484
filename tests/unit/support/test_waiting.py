import pytest

from tests.support.waiting import wait_until, wait_until_async


def test_a_wait_returns_the_first_true_value() -> None:
    answers = iter([0, None, 7, 8])
    assert wait_until(lambda: next(answers)) == 7


def test_a_wait_in_vain_names_what_it_waited_for_and_what_it_saw() -> None:
    with pytest.raises(AssertionError, match=r"in vain for the door; last seen: ''"):
        wait_until(lambda: "", within_s=0.03, what="the door")


@pytest.mark.anyio
async def test_an_awaited_condition_is_waited_for_too() -> None:
    answers = iter([0, 7])

    async def next_answer() -> int:
        return next(answers)

    assert await wait_until_async(next_answer) == 7


@pytest.mark.anyio
async def test_an_awaited_wait_in_vain_fails_too() -> None:
    async def never() -> bool:
        return False

    with pytest.raises(AssertionError, match="in vain for rain"):
        await wait_until_async(never, within_s=0.03, what="rain")
