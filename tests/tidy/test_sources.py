"""The rules hold for every source of the project."""

from collections.abc import Callable, Iterator
from pathlib import PurePosixPath

import pytest

from tests.tidy import rules
from tests.tidy.tree import ROOT, Source, python_sources

MAX_BROAD_EXCEPTS = 10  # one for each process' outermost loop, and few more


@pytest.mark.parametrize("rule", rules.RULES, ids=lambda rule: rule.__name__)
def test_every_source_keeps(rule: Callable[[Source], Iterator[str]]) -> None:
    findings = [finding for source in python_sources() for finding in rule(source)]
    assert not findings, "\n" + "\n".join(findings)


def test_the_allowed_broad_excepts_are_few_and_all_in_use() -> None:
    sources = {source.path: source for source in python_sources()}
    assert len(rules.BROAD_EXCEPTS) <= MAX_BROAD_EXCEPTS
    for place, reason in rules.BROAD_EXCEPTS.items():
        path, _, function = place.partition("::")
        assert len(reason) > 10, f"{place} needs a reason"
        assert path in sources, f"{place}: there is no such file any more"
        assert function in rules.functions_that_catch_everything(sources[path]), f"{place} catches no longer everything"


def has_tests(package: str, tests: list[str]) -> bool:
    """Whether tests/unit mirrors the package, as a folder (orders/api/test_*.py) or a file (orders/test_api*.py)."""
    parent, _, name = f"tests/unit/{package}".rpartition("/")
    return any(test.startswith((f"{parent}/{name}/", f"{parent}/test_{name}")) for test in tests)


def packages_without_tests(paths: set[str]) -> list[str]:
    """The packages of src with code of their own for which tests/unit holds no test."""
    code = [PurePosixPath(path) for path in paths if path.startswith("src/") and not path.endswith("__init__.py")]
    tests = [path for path in paths if path.startswith("tests/unit/") and "/test_" in path]
    packages = {"/".join(path.parent.parts[1:]) for path in code}
    return sorted(package for package in packages if not has_tests(package, tests))


def test_every_package_has_its_tests() -> None:
    missing = packages_without_tests({source.path for source in python_sources()})
    assert not missing, f"no tests in tests/unit/ for: {', '.join(missing)}"


def test_a_package_without_tests_is_found() -> None:
    paths = {"src/orders/api/routes.py", "src/orders/handlers.py", "src/feed/out.py", "src/empty/__init__.py"}
    assert packages_without_tests(paths) == ["feed", "orders", "orders/api"]
    paths |= {"tests/unit/orders/api/test_routes.py", "tests/unit/test_feed.py"}
    assert packages_without_tests(paths) == []


def test_the_sources_are_found() -> None:
    paths = {source.path for source in python_sources()}
    assert {"src/orders/__init__.py", "tests/tidy/rules.py"} <= paths
    assert not any(path.startswith(".venv") for path in paths)
    assert (ROOT / "pyproject.toml").exists()
