"""Long lives of an order, drawn by seed: they go further than a state machine, which finds the shortest ones.

`python -m tests.property.test_order_walks SEED` tells what was said in one, and where it went wrong.
"""

import sys
from random import Random

import pytest
from hypothesis import settings

from tests.property.order_life import Life

WALKS = 15  # for each example of the profile
STEPS = 50
SLICES = 4


@pytest.mark.parametrize("part", range(SLICES))
def test_every_life_of_an_order_is_legal_and_adds_up(part: int) -> None:
    for seed in range(part, WALKS * settings().max_examples, SLICES):
        random = Random(seed)
        try:
            life = Life(random)
            life.go_on(random, STEPS)
            life.check_folds()
        except Exception as error:
            error.add_note(f"seed {seed}")
            raise


def main(seed: int) -> None:
    random = Random(seed)
    life = Life(random)
    try:
        life.go_on(random, STEPS)
    finally:
        print(life.rules.venue, *life.said, *life.history, sep="\n")


if __name__ == "__main__":
    main(int(sys.argv[1]))
