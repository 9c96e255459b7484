"""The locks hold what pyproject.toml asks for, whole, with hashes, and no address of anybody's package index."""

import json
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.tidy import rules
from tests.tidy.tree import ROOT, project_files, python_sources

LOCKS = ("run", "dev", "uv")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
# In pieces, so that this file does not name them either.
INDEX_HOSTS = [
    name + "." + domain
    for name, domain in [
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("deb.debian", "org"),
        ("crates", "io"),
    ]
]
PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)(\[[^\]]*\])?==(?P<version>[^\s;]+)")


def entries(text: str) -> list[str]:
    """The lock's entries, continued lines joined and comments dropped."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    return "\n".join(lines).replace("\\\n", " ").splitlines()


def flaws(text: str) -> list[str]:
    """What a lock must not have: a line without pin or hash, an option, an address."""
    return [
        entry.split(" ")[0]
        for entry in entries(text)
        if not PIN.match(entry) or "--hash=sha256:" not in entry or "://" in entry or " @ " in entry
    ]


def pins(lock: str) -> dict[str, set[str]]:
    """Name to versions; a name may have several, each for its own platforms."""
    found: dict[str, set[str]] = {}
    for entry in entries((ROOT / f"requirements/{lock}.txt").read_text(encoding="utf-8")):
        if pin := PIN.match(entry):
            found.setdefault(canonicalize_name(pin["name"]), set()).add(pin["version"])
    return found


def unmet(requirements: list[str], locked: dict[str, set[str]]) -> list[str]:
    """The requirements for which the lock has no version that they admit."""
    wanted = [Requirement(text) for text in requirements]
    return [str(r) for r in wanted if not any(map(r.specifier.contains, locked.get(canonicalize_name(r.name), ())))]


@pytest.mark.parametrize("lock", LOCKS)
def test_every_entry_is_pinned_and_hashed_and_has_no_address(lock: str) -> None:
    assert flaws((ROOT / f"requirements/{lock}.txt").read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "entry",
    ["--index-url https://example.test/simple", "a==1", "a>=1 --hash=sha256:00", "a @ https://example.test/a.whl"],
)
def test_an_entry_without_pin_or_hash_or_with_an_address_is_found(entry: str) -> None:
    assert flaws(f"ok==1 \\\n    --hash=sha256:00\n    # via somebody\n{entry}\n") == [entry.split(" ")[0]]


def test_the_run_lock_meets_the_project() -> None:
    wanted = [*PROJECT["project"]["dependencies"], *PROJECT["dependency-groups"]["build"]]
    assert unmet(wanted, pins("run")) == []


def test_the_dev_lock_meets_its_group() -> None:
    wanted = [entry for entry in PROJECT["dependency-groups"]["dev"] if isinstance(entry, str)]
    assert unmet(wanted, pins("dev")) == []
    assert unmet(PROJECT["dependency-groups"]["uv"], pins("uv")) == []


def test_a_requirement_that_the_lock_does_not_meet_is_found() -> None:
    assert unmet(["a>=2", "b", "c<3"], {"a": {"1.9"}, "c": {"2.1"}}) == ["a>=2", "b"]


def test_the_dev_lock_holds_the_run_lock() -> None:
    run, dev = pins("run"), pins("dev")
    assert {name: versions for name, versions in run.items() if dev.get(name) != versions} == {}


def declared_names(requirements: list[str]) -> set[str]:
    """The distributions that the requirements name, those of their extras included (psycopg[pool]: psycopg-pool)."""
    parsed = [Requirement(text) for text in requirements]
    extras = {name for r in parsed for extra in r.extras for name in (extra, f"{r.name}-{extra}")}
    return {canonicalize_name(name) for name in {r.name for r in parsed} | extras}


def undeclared(modules: set[str], requirements: list[str]) -> set[str]:
    """The third-party modules that none of the requirements names."""
    names, distributions = declared_names(requirements), packages_distributions()
    return {m for m in modules if names.isdisjoint(map(canonicalize_name, distributions.get(m, [])))}


def third_party_imports() -> set[str]:
    own = {path.name for path in (ROOT / "src").iterdir()}
    trees = [source.tree for source in python_sources() if source.path.startswith("src/")]
    modules = {module.split(".")[0] for tree in trees for _, module in rules.imported_modules(tree, "orders")}
    return modules - own - sys.stdlib_module_names


def test_what_is_imported_is_declared() -> None:
    """What an extra brings too: where that may be imported, an import rule says."""
    project = PROJECT["project"]
    extras = [one for extra in project["optional-dependencies"].values() for one in extra]
    assert undeclared(third_party_imports(), [*project["dependencies"], *extras]) == set()


def test_an_import_that_only_another_package_brings_is_found() -> None:
    assert "msgspec" in third_party_imports()
    imported = {"msgspec", "psycopg_pool", "yaml", "no_such_module"}
    assert undeclared(imported, ["msgspec>=0", "psycopg[pool]"]) == {
        "yaml",
        "no_such_module",
    }


def node_flaws(lock: dict[str, Any], package: dict[str, Any]) -> list[str]:
    """What npm's lock must not have: a package without hash or with an address, another wish than package.json's."""
    packages = {name: entry for name, entry in lock["packages"].items() if name}
    loose = [name for name, one in packages.items() if "integrity" not in one or "resolved" in one or "link" in one]
    wanted = package["dependencies"]
    return loose + [name for name in wanted if lock["packages"][""]["dependencies"].get(name) != wanted[name]]


def test_the_lock_of_the_checkers_for_node_has_hashes_and_no_address() -> None:
    lock, package = (
        json.loads((ROOT / f"requirements/node/{name}.json").read_text(encoding="utf-8"))
        for name in ("package-lock", "package")
    )
    assert lock["lockfileVersion"] == 3
    assert node_flaws(lock, package) == []


@pytest.mark.parametrize("entry", [{}, {"integrity": "sha512-0", "resolved": "https://example.test/a.tgz"}])
def test_an_entry_for_node_without_hash_or_with_an_address_is_found(entry: dict[str, str]) -> None:
    sound = {"integrity": "sha512-0"}
    lock = {"packages": {"": {"dependencies": {"a": "1"}}, "node_modules/a": entry, "node_modules/b": sound}}
    assert node_flaws(lock, {"dependencies": {"a": "1"}}) == ["node_modules/a"]
    assert node_flaws(lock, {"dependencies": {"a": "2"}}) == ["node_modules/a", "a"]


def hosts_named(text: str) -> list[str]:
    return [host for host in INDEX_HOSTS if host in text.lower()]


def test_no_file_names_a_package_index() -> None:
    texts = {path: (ROOT / path).read_bytes().decode("utf-8", "replace") for path in project_files()}
    assert {path: hosts_named(text) for path, text in texts.items() if hosts_named(text)} == {}


def test_a_named_package_index_is_found() -> None:
    assert hosts_named(f"--index-url https://{INDEX_HOSTS[0].upper()}/simple") == [INDEX_HOSTS[0]]


def test_every_dependency_stands_with_its_reason() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    dependencies = text[text.index("dependencies = [") : text.index("[project.scripts]")].splitlines()[1:]
    without = [line.strip() for line in dependencies if line.strip().startswith('"') and "  # " not in line]
    assert without == []
