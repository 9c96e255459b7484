"""Values are counted by bucket, as Prometheus' histograms want them."""

from orders.distribution import Distribution, Observed


def test_a_value_lies_in_the_first_bucket_whose_bound_it_does_not_pass() -> None:
    spread = Distribution((1, 2, 5))
    for value in (0.5, 1, 1.5, 5, 6, 100):
        spread.observe(value)
    assert spread.observed() == Observed((2, 1, 1, 2), 114.0)


def test_nothing_was_observed_at_first() -> None:
    assert Distribution((1, 2)).observed() == Observed((0, 0, 0), 0.0)
