"""Tables and colour on a terminal only."""

import sys
from collections.abc import Callable

import pytest

from order_service.cli import output
from order_service.cli.output import print_fields, print_line, print_rows

ESCAPE = "\x1b"
Terminal = Callable[..., None]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)

    def set_up(**environment: str) -> None:
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        for name, value in {"TERM": "xterm", "COLUMNS": "80", **environment}.items():
            monkeypatch.setenv(name, value)

    return set_up


def print_all() -> None:
    print_rows(("a", "b"), [("[red]x[/red]", ":smile:")], colour_of=lambda row: "red")
    print_fields([("name", "value")])
    print_line(("x", None), (3, 1), "red")


def test_a_terminal_has_colour_and_aligned_columns(terminal: Terminal, capsys: pytest.CaptureFixture[str]) -> None:
    terminal()
    print_all()
    said = capsys.readouterr().out
    assert ESCAPE in said
    assert "\t" not in said
    assert "[red]x[/red]" in said
    assert ":smile:" in said


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_no_color_is_obeyed(
    terminal: Terminal, capsys: pytest.CaptureFixture[str], environment: dict[str, str]
) -> None:
    terminal(**environment)
    print_all()
    said = capsys.readouterr().out
    assert ESCAPE not in said
    assert "\t" not in said


def test_a_pipe_gets_tabs_and_no_colour(capsys: pytest.CaptureFixture[str]) -> None:
    print_all()
    assert capsys.readouterr().out == "a\tb\n[red]x[/red]\t:smile:\nname\tvalue\nx\t\n"


def test_what_would_break_a_line_or_a_column_becomes_a_space(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows(("a", "b"), [("x\ty", "z\nw")])
    assert capsys.readouterr().out == "a\tb\nx y\tz w\n"


# What the exchange or a client says: clear the screen, set the title, a C1 control, read from right to left.
SAID = "no\x1b[2J\x1b]0;x\x07 \x9b2J\u202e well"
SHOWN = r"no\x1b[2J\x1b]0;x\x07 \x9b2J\u202e well"


@pytest.mark.parametrize("on_terminal", [True, False])
def test_what_others_say_changes_nothing_on_a_terminal(
    terminal: Terminal, capsys: pytest.CaptureFixture[str], on_terminal: bool
) -> None:
    if on_terminal:
        terminal(NO_COLOR="1")
    print_rows(("a", "b"), [("x", SAID)])
    print_fields([("name", SAID)])
    print_line((SAID, None), (3, 1))
    said = capsys.readouterr().out
    assert said.count(SHOWN) == 3
    assert not any(one in said for one in "\x1b\x07\x9b\u202e")


def test_the_first_column_of_a_narrow_table_stays_whole(terminal: Terminal, capsys: pytest.CaptureFixture[str]) -> None:
    terminal(COLUMNS="50", NO_COLOR="1")
    order_id = "01a1fbfe-4cc7-7491-91f9-8c9b96e69439"
    print_rows(("order", "what"), [(order_id, "many words that do not fit beside it")])
    assert order_id in capsys.readouterr().out
    assert output.on_terminal()
