"""Commands as a person types them, in a folder without .env, with settings of their own only."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from order_service.cli.program import orders
from order_service.settings import NAMES
from tests.support.scripted_api import ScriptedApi, scripted_api

Run = Callable[..., Result]


@pytest.fixture
def api() -> Iterator[ScriptedApi]:
    with scripted_api() as script:
        yield script


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """`run("show", "abc", BASE_URL=...)`"""
    monkeypatch.chdir(tmp_path)
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: str, **settings: str) -> Result:
        return CliRunner().invoke(orders, arguments, prog_name="orders", env=settings)

    return run
