"""The AsyncAPI document names the parameters that the feed takes, and the codes that it closes with."""

import pytest

from orders.domain.instruments import BUILT_IN
from orders.request_errors import InvalidParameters
from projections import feed_client
from projections.api.feed_document import PARAMETERS, feed_document
from projections.api.feed_parameters import subscription_of
from projections.feed import Subscription

DOCUMENT = feed_document("1.2.3")


@pytest.mark.parametrize("name", [*PARAMETERS, "batch"])
def test_every_parameter_of_the_document_is_one_of_the_feed(name: str) -> None:
    with pytest.raises(InvalidParameters) as refused:
        subscription_of([(name, "?")], "local", BUILT_IN)
    (error,) = refused.value.errors
    assert error.field == name
    assert "not known" not in error.message


def test_the_document_names_all_of_them() -> None:
    # `account` is who asks, and no parameter.
    assert set(Subscription.__struct_fields__) - {"account"} == set(PARAMETERS) | {"batch"}


def test_both_ways_take_the_same_parameters() -> None:
    sockets = DOCUMENT["channels"]["feed"]["bindings"]["ws"]["query"]["properties"]
    events = DOCUMENT["operations"]["sendEvents"]["bindings"]["http"]["query"]["properties"]
    assert set(events) == set(sockets) == set(Subscription.__struct_fields__) - {"account"}


@pytest.mark.parametrize("channels", ["orders,orders", "", "orders,", "fills"])
def test_a_channel_is_named_once_and_known(channels: str) -> None:
    with pytest.raises(InvalidParameters, match="channels"):
        subscription_of([("channels", channels)], "local", BUILT_IN)


def test_the_document_names_every_close_code() -> None:
    codes = {value for name, value in vars(feed_client).items() if name.isupper() and isinstance(value, int)}
    told = {int(code) for code in DOCUMENT["channels"]["feed"]["x-close-codes"]}
    assert {code for code in codes if 1_000 < code < 5_000} == told
