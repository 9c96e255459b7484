"""What every test gets: one asyncio backend, and how hard hypothesis tries."""

import os

import pytest
from hypothesis import HealthCheck, settings

from order_service.configuration.secret_files import FILE_NAMES
from order_service.configuration.settings import NAMES

pytest_plugins = ["tests.support.postgres", "tests.support.rabbitmq"]

# No deadline: other processes share the cores, and pytest-timeout names a test that hangs.
settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])
# CI judges a change: it tries the same examples each time. Runs by hand, and the long ones, look for new ones.
settings.register_profile("ci", parent=settings.get_profile("default"), derandomize=True)
# By hand, before a release or after a change of rules: HYPOTHESIS_PROFILE=long make test
settings.register_profile("long", parent=settings.get_profile("default"), max_examples=3_000, stateful_step_count=80)
# Measuring coverage makes every line slower, and few examples already reach every branch.
settings.register_profile("coverage", parent=settings.get_profile("default"), max_examples=20)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "default"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--at-base-url", action="store_true", help="ask the service at BASE_URL, with ORDERS_API_KEY")


def pytest_configure(config: pytest.Config) -> None:
    """What the caller's shell says to the service, or of colours, is no matter of the tests: they start services of
    their own. The processes that they start inherit it."""
    if config.getoption("--at-base-url"):
        return
    for name in (*NAMES, *FILE_NAMES, "FORCE_COLOR", "CLICOLOR_FORCE"):
        os.environ.pop(name, None)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """At a service that others use, and that runs elsewhere, what needs one of its own is left out, and counted so."""
    if not config.getoption("--at-base-url"):
        return
    left_out = [item for item in items if item.get_closest_marker("own_service")]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"
