"""Each rule sees the violation that it is there for, and lets its neighbours pass."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.tidy import rules
from tests.tidy.tree import ROOT, Source

LONG_FUNCTION = "def f():\n" + "    x = 1\n" * rules.MAX_FUNCTION_LINES
LONG_FILE = "x = 1\n" * (rules.MAX_FILE_LINES + 1)
SWALLOW = "def f():\n    try:\n        g()\n    except {}:\n        log()\n"
READ = "try:\n    a = {}(b, kind)\nexcept {}:\n    pass\n"

VIOLATIONS = [
    (rules.file_size, "src/orders/a.py", LONG_FILE),
    (rules.function_size, "src/orders/a.py", LONG_FUNCTION),
    (rules.function_size, "tests/unit/test_a.py", "async " + LONG_FUNCTION),
    (rules.telling_names, "src/orders/utils.py", ""),
    (rules.telling_names, "src/orders/base/port.py", ""),
    (rules.telling_names, "tests/unit/test_helpers.py", ""),
    (rules.bare_sleeps, "tests/unit/test_a.py", "import time\ntime.sleep(1)\n"),
    (rules.bare_sleeps, "tests/unit/test_a.py", "from asyncio import sleep as nap\nasync def f():\n    await nap(1)\n"),
    (rules.bare_sleeps, "tests/unit/test_a.py", "import time\nwhile True:\n    time.sleep(1)\n"),
    (rules.bare_sleeps, "tests/support/a.py", "import anyio\nasync def f():\n    await anyio.sleep(1)\n"),
    (rules.broad_excepts, "src/orders/a.py", SWALLOW.format("Exception")),
    (rules.broad_excepts, "src/orders/a.py", SWALLOW.format("(OSError, BaseException) as error")),
    (rules.broad_excepts, "src/orders/a.py", "try:\n    f()\nexcept:\n    pass\n"),
    (rules.broad_excepts, "src/orders/a.py", "with contextlib.suppress(Exception):\n    f()\n"),
    (rules.decoding_errors, "src/orders/a.py", READ.format("d.decode", "msgspec.DecodeError as error")),
    (rules.decoding_errors, "src/orders/a.py", READ.format("msgspec.json.decode", "(OSError, MsgspecError)")),
    (rules.decoding_errors, "src/orders/a.py", READ.format("decoded", "msgspec.ValidationError")),
    (rules.pure_domain, "src/orders/domain/a.py", "import psycopg\n"),
    (rules.pure_domain, "src/orders/domain/a.py", "import time\n"),
    (rules.pure_domain, "src/orders/domain/a.py", "from random import Random\n"),
    (rules.pure_domain, "src/orders/domain/a.py", "from orders import handlers\n"),
    (rules.pure_domain, "src/orders/domain/a.py", "from ..eventstore import port\n"),
    (rules.pure_domain, "src/orders/domain/a.py", "from datetime import datetime, UTC\nat = datetime.now(UTC)\n"),
    (rules.pure_domain, "src/orders/domain/a.py", "import uuid\nid = uuid.uuid4()\n"),
]

LEGAL = [
    (rules.file_size, "src/orders/a.py", LONG_FILE.removeprefix("x = 1\n")),
    (rules.function_size, "src/orders/a.py", LONG_FUNCTION.removesuffix("    x = 1\n")),
    (rules.telling_names, "src/orders/database.py", ""),
    (rules.bare_sleeps, "tests/support/a.py", "import time\nwhile True:\n    time.sleep(1)\n"),
    (rules.bare_sleeps, "tests/unit/test_a.py", "import asyncio\nasync def f():\n    await asyncio.sleep(0)\n"),
    (rules.bare_sleeps, "src/orders/a.py", "import time\ntime.sleep(1)\n"),
    (rules.broad_excepts, "src/orders/a.py", SWALLOW.format("OSError")),
    (rules.broad_excepts, "src/orders/a.py", "try:\n    f()\nexcept BaseException:\n    g()\n    raise\n"),
    (rules.broad_excepts, "tests/unit/test_a.py", SWALLOW.format("Exception")),
    (rules.decoding_errors, "src/orders/a.py", READ.format("d.decode", "(*UNREADABLE, KeyError)")),
    (rules.decoding_errors, "src/orders/a.py", READ.format("msgspec.convert", "msgspec.ValidationError")),
    (rules.decoding_errors, "tests/unit/test_a.py", READ.format("d.decode", "msgspec.DecodeError")),
    (rules.pure_domain, "src/orders/domain/a.py", "import msgspec\nfrom orders.domain.values import Side\n"),
    (rules.pure_domain, "src/orders/domain/a.py", "from .values import Side\nfrom . import errors\nimport decimal\n"),
    (rules.pure_domain, "src/orders/handlers.py", "import time\nimport psycopg\n"),
]


@pytest.mark.parametrize(("rule", "path", "text"), VIOLATIONS)
def test_a_violation_is_found(rule, path: str, text: str) -> None:
    findings = list(rule(Source(path, text)))
    assert len(findings) == 1
    assert findings[0].startswith(path)


@pytest.mark.parametrize(("rule", "path", "text"), LEGAL)
def test_what_is_legal_passes(rule, path: str, text: str) -> None:
    assert list(rule(Source(path, text))) == []


@pytest.mark.parametrize(
    ("path", "text", "code"),
    [
        ("src/orders/a.py", 'print("here")\n', "T201"),
        ("src/orders/a.py", "try:\n    f()\nexcept Exception:\n    g()\n", "BLE001"),
        ("src/orders/a.py", "# TODO: later\n", "FIX002"),
        ("src/orders/a.py", "from datetime import datetime\n\nat = datetime.now()\n", "DTZ005"),
    ],
)
def test_the_linter_refuses(path: str, text: str, code: str) -> None:
    command = [Path(sys.executable).with_name("ruff"), "check", "--no-cache", "--stdin-filename", path, "-"]
    outcome = subprocess.run(command, input=text, cwd=ROOT, capture_output=True, text=True, check=False)
    assert outcome.returncode == 1
    assert code in outcome.stdout
