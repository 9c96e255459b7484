"""What a source file of this project may not hold. A rule takes one file and yields its findings as path:line: text."""

import ast
import sys
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from tests.tidy.tree import Source

MAX_FILE_LINES = 350  # past about 300 a file has a second subject
MAX_FUNCTION_LINES = 60  # what fits on a screen, and a little
VAGUE_NAMES = {"utils", "util", "helpers", "helper", "common", "manager", "base", "misc", "stuff"}

# `except Exception` outside a handler that raises again: "path::function" and why it must be so. Keep it short.
BROAD_EXCEPTS = {
    "src/exchange_adapter/call_pool.py::_result": "foreign code: a user's venue may raise anything, and all is doubt",
    "src/exchange_adapter/loading.py::_named": "foreign code: a user's module may raise anything at its import",
    "src/exchange_adapter/loading.py::load_venue": "foreign code: so may a user's class when it is made",
    "src/exchange_adapter/reports.py::_of_venue": "foreign code: a user's stream may raise anything, and is lost",
    "src/orders/eventstore/group_commit.py::_write": "the writer thread's outermost loop: outcome unknown, it goes on",
    "src/orders/eventstore/live_log.py::_follow": "a process' only reader of the live log: it logs and reads again",
    "src/orders/follower.py::run": "a follower thread's outermost loop: it logs and starts again",
    "src/orders/follower.py::_attempt": "a projection may raise anything; its follower alone stops and names the event",
    "src/projections/filling.py::_write": "a projection may raise anything; its rebuild ends and names the events",
    "src/projections/rebuild_requests.py::run": "the thread's outermost loop: it logs and starts again",
}

DOMAIN = "src/orders/domain/"
DOMAIN_IMPORTS = {"msgspec", "orders.domain", "orders.bounds"}
# Modules of the standard library that read or change the world.
IMPURE_MODULES = {
    *("fileinput", "glob", "importlib", "io", "logging", "mmap", "os", "pathlib", "shutil", "sqlite3", "tempfile"),
    *("http", "select", "selectors", "socket", "socketserver", "ssl", "urllib", "webbrowser"),
    *("asyncio", "concurrent", "ctypes", "multiprocessing", "signal", "subprocess", "sys", "threading"),
    *("getpass", "locale", "platform", "random", "secrets", "time", "zoneinfo"),
}
IMPURE_CALLS = {"open", "print", "input", "now", "utcnow", "today", "uuid1", "uuid4", "uuid7", "getrandbits"}

SLEEPERS = {"time", "asyncio", "anyio", "trio"}
WAITS = "tests/support/"  # polling loops live here


def file_size(source: Source) -> Iterator[str]:
    lines = source.text.count("\n")
    if lines > MAX_FILE_LINES:
        yield f"{source.path}: {lines} lines, at most {MAX_FILE_LINES}; look for the second subject in it"


def function_size(source: Source) -> Iterator[str]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > MAX_FUNCTION_LINES:
                yield f"{source.path}:{node.lineno}: {node.name} has {lines} lines, at most {MAX_FUNCTION_LINES}"


def telling_names(source: Source) -> Iterator[str]:
    path = PurePosixPath(source.path)
    for part in (*path.parent.parts, path.stem):
        if part.removeprefix("test_") in VAGUE_NAMES:
            yield f"{source.path}: {part!r} says nothing of what is in it"


def _is_zero(call: ast.Call) -> bool:
    return len(call.args) == 1 and isinstance(call.args[0], ast.Constant) and call.args[0].value == 0


def _sleeping_names(tree: ast.Module) -> set[str]:
    """The names under which a sleep was imported by itself."""
    return {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module in SLEEPERS
        for alias in node.names
        if alias.name == "sleep"
    }


def bare_sleeps(source: Source) -> Iterator[str]:
    """Sleeps in tests. Those in a loop of tests/support/ poll for a condition, and sleep(0) waits for nothing."""
    if not source.path.startswith("tests/"):
        return
    tree = source.tree
    names = _sleeping_names(tree)
    polling = {
        id(inner)
        for loop in ast.walk(tree)
        if isinstance(loop, ast.While | ast.For) and source.path.startswith(WAITS)
        for inner in ast.walk(loop)
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or id(node) in polling or _is_zero(node):
            continue
        match node.func:
            case ast.Attribute(value=ast.Name(id=module), attr="sleep") if module in SLEEPERS:
                yield f"{source.path}:{node.lineno}: a bare sleep; wait for a condition (tests/support/waiting.py)"
            case ast.Name(id=name) if name in names:
                yield f"{source.path}:{node.lineno}: a bare sleep; wait for a condition (tests/support/waiting.py)"


def _is_broad(caught: ast.expr | None) -> bool:
    match caught:
        case None | ast.Name(id="Exception" | "BaseException"):
            return True
        case ast.Tuple(elts=kinds):
            return any(_is_broad(kind) for kind in kinds)
    return False


def _raises_again(handler: ast.ExceptHandler) -> bool:
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def _functions_and_their_own(tree: ast.Module) -> Iterator[tuple[str, ast.AST]]:
    """Every node with the name of the innermost function that holds it."""

    def visit(node: ast.AST, function: str) -> Iterator[tuple[str, ast.AST]]:
        for child in ast.iter_child_nodes(node):
            yield function, child
            inner = child.name if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) else function
            yield from visit(child, inner)

    yield from visit(tree, "<module>")


def _catches_everything(node: ast.AST) -> bool:
    match node:
        case ast.ExceptHandler(type=caught):
            return _is_broad(caught) and not _raises_again(node)
        case ast.Call(func=ast.Attribute(attr="suppress") | ast.Name(id="suppress"), args=kinds):
            return any(_is_broad(kind) for kind in kinds)
    return False


def functions_that_catch_everything(source: Source) -> dict[str, int]:
    """The functions that catch everything and go on, each with the line where it does."""
    nodes = _functions_and_their_own(source.tree)
    return {function: node.lineno for function, node in nodes if _catches_everything(node)}


def broad_excepts(source: Source) -> Iterator[str]:
    """Handlers in src that catch everything and go on, outside BROAD_EXCEPTS."""
    if not source.path.startswith("src/"):
        return
    for function, line in functions_that_catch_everything(source).items():
        if f"{source.path}::{function}" not in BROAD_EXCEPTS:
            yield f"{source.path}:{line}: {function} catches everything; name what can happen"


DECODING_ERRORS = {"DecodeError", "MsgspecError", "ValidationError"}


def _names_decoding_error(caught: ast.expr | None) -> bool:
    match caught:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name in DECODING_ERRORS
        case ast.Tuple(elts=kinds):
            return any(_names_decoding_error(kind) for kind in kinds)
    return False


def _decodes(body: Sequence[ast.stmt]) -> bool:
    """Whether there is a call of anything but `msgspec.convert`, which reads objects and not bytes."""
    calls = (node for statement in body for node in ast.walk(statement) if isinstance(node, ast.Call))
    return any(not isinstance(call.func, ast.Attribute) or call.func.attr != "convert" for call in calls)


def decoding_errors(source: Source) -> Iterator[str]:
    """Bytes that may be anything end in a decoder with more than msgspec's own errors: UNREADABLE has them all."""
    if not source.path.startswith("src/"):
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Try) and _decodes(node.body):
            for handler in node.handlers:
                if _names_decoding_error(handler.type):
                    yield f"{source.path}:{handler.lineno}: bytes end otherwise too; catch UNREADABLE"


def imported_modules(tree: ast.Module, package: str) -> Iterator[tuple[int, str]]:
    """Line and full name of everything that a module of the package imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom) and node.level:
            parent = package.rsplit(".", node.level - 1)[0] if node.level > 1 else package
            yield node.lineno, f"{parent}.{node.module}" if node.module else parent
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield node.lineno, f"{node.module}.{alias.name}"


def _is_within(module: str, packages: set[str]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def pure_domain(source: Source) -> Iterator[str]:
    """The domain imports the standard library's pure part and msgspec, and calls no clock, randomness or I/O."""
    if not source.path.startswith(DOMAIN):
        return
    package = ".".join(PurePosixPath(source.path).parent.parts[1:])
    for line, module in imported_modules(source.tree, package):
        top = module.split(".")[0]
        if not _is_within(module, DOMAIN_IMPORTS) and (top not in sys.stdlib_module_names or top in IMPURE_MODULES):
            yield f"{source.path}:{line}: the domain does not import {module}"
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in IMPURE_CALLS:
                yield f"{source.path}:{node.lineno}: the domain does not call {called}(); it comes in as an argument"


RULES = (file_size, function_size, telling_names, bare_sleeps, broad_excepts, decoding_errors, pure_domain)
