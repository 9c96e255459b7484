"""The files of the project as git sees them, new ones included, and its Python sources as syntax trees."""

import ast
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PYTHON_FOLDERS = ("src", "tests", "load", "examples")


@dataclass(frozen=True)
class Source:
    """A Python file: its path from the project's root, with slashes, and its text."""

    path: str
    text: str

    @property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, self.path)


@cache
def project_files() -> tuple[str, ...]:
    """Every file that is tracked, or would be by `git add`; paths from the root."""
    # safe.directory: in a container the clone often belongs to another user.
    command = ["git", "-c", f"safe.directory={ROOT}", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listing = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return tuple(sorted(name for name in set(listing.split("\0")) if name and (ROOT / name).is_file()))


@cache
def python_sources() -> tuple[Source, ...]:
    paths = [name for name in project_files() if name.endswith(".py") and name.split("/")[0] in PYTHON_FOLDERS]
    return tuple(Source(path, (ROOT / path).read_text(encoding="utf-8")) for path in paths)
