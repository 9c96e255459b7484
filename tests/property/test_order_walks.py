"""Long lives of an order, drawn by seed: they go further than a state machine, which finds the shortest ones.

`python -m tests.property.test_order_walks SEED` tells what was said in one, and where it went wrong.
"""

import sys
from random import Random

import pytest
from hypothesis import settings

from orders.domain.values import Delivery, Phase
from tests.property import order_commands as any_
from tests.property.order_life import Life

WALKS = 8  # for each example of the profile
STEPS = 50
ENDED_STEPS = 8  # what may still come after an end
LIVES_FOR = 25  # steps until the order may be ended, or canceled unsent
SLICES = 4
GIVERS: list[any_.Giver] = [
    *[any_.client_command] * 3,
    *[any_.call_outcome] * 6,
    *[any_.answer] * 4,
    *[any_.execution] * 3,
    any_.operator_command,
]


def walk(life: Life, random: Random) -> None:
    ended = 0
    for step in range(STEPS):
        life.say(_next(life, random, step))
        ended = 0 if life.order.phase is Phase.OPEN else ended + 1
        if ended > ENDED_STEPS:
            break
    life.check_folds()


def _next(life: Life, random: Random, step: int) -> any_.Said:
    draw, delivery = random.random(), life.order.delivery
    if draw < 0.1 and life.said:
        return random.choice(life.said)
    if draw < 0.2 and step > LIVES_FOR:
        return any_.end(random, life.order, life.requests)
    giver = random.choice(GIVERS)
    too_early = giver is any_.client_command and delivery in (Delivery.QUEUED, Delivery.PARKED) and step <= LIVES_FOR
    too_soon = giver is any_.execution and delivery is not Delivery.ACKED and random.random() < 0.7
    return (any_.call_outcome if too_early or too_soon else giver)(random, life.order, life.requests)


@pytest.mark.parametrize("part", range(SLICES))
def test_every_life_of_an_order_is_legal_and_adds_up(part: int) -> None:
    for seed in range(part, WALKS * settings().max_examples, SLICES):
        random = Random(seed)
        try:
            walk(Life(random), random)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error


def main(seed: int) -> None:
    random = Random(seed)
    life = Life(random)
    try:
        walk(life, random)
    finally:
        print(life.rules.venue, *life.said, *life.history, sep="\n")


if __name__ == "__main__":
    main(int(sys.argv[1]))
