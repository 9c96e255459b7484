"""What a session of ours waits for when it commits."""

import pytest

from orders.eventstore.connections import connect


@pytest.mark.parametrize(("durable", "waits"), [(True, "on"), (False, "off")])
def test_a_commit_waits_for_the_disk_unless_it_need_not(database_url: str, durable: bool, waits: str) -> None:
    with connect(database_url, application_name="a test", durable=durable) as connection:
        assert connection.execute("show synchronous_commit").fetchone() == (waits,)


def test_a_commit_waits_for_the_disk_whatever_the_servers_default_is(database_url: str) -> None:
    with connect(f"{database_url}&options=-csynchronous_commit%3Doff", application_name="a test") as connection:
        assert connection.execute("show synchronous_commit").fetchone() == ("on",)
