"""`make load`. Ends with 0 where the balance closes and every threshold holds, 1 where not, 2 where it may not run."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from load.open_loop import ServerGone
from load.page.page import page
from load.results import REPORTS, number_from, write
from load.run.course import Course
from load.run.report import Report, summary
from load.run.service import CannotLoad, read_settings, service
from load.scenarios import FILE, BadScenario, Scenario, read_scenarios, scenario_named, shortened
from load.servers import ServerFailed
from order_client import OrderClientError
from simulated_exchange.errors import ExchangeError

FAILED, WRONG_USE = 1, 2


class Options(Struct, frozen=True, kw_only=True):
    name: str
    scenario: Scenario
    own: bool
    yes: bool
    reports: Path


def main(arguments: Sequence[str] | None = None) -> int:
    try:
        options = _read(arguments)
        report = asyncio.run(_run(options))
    except (BadScenario, CannotLoad) as error:
        return _ended(error, WRONG_USE)
    except (ServerFailed, ServerGone, OrderClientError, ExchangeError) as error:
        return _ended(error, FAILED)
    except KeyboardInterrupt:
        return _ended("interrupted; nothing is reported", 130)
    print(summary(report))
    written = write(report, options.reports, f"load-{options.name}")
    shown = written.with_suffix(".html")
    shown.write_text(page(report), encoding="utf-8")
    print(f"\n{'PASSED' if report.passed else 'FAILED'}; report: {shown}, and as JSON: {written}")
    return 0 if report.passed else FAILED


async def _run(options: Options) -> Report:
    with service(read_settings(), own=options.own, sure=options.yes) as chosen:
        where = "a service of its own" if chosen.own else chosen.target.base_url
        print(f"{options.name}: {options.scenario.seconds:g} s against {where}", file=sys.stderr)
        return await Course(options.name, options.scenario, chosen).run()


def _read(arguments: Sequence[str] | None) -> Options:
    """Raises BadScenario."""
    parser = argparse.ArgumentParser(prog="make load", description="A scenario against the service at BASE_URL.")
    parser.add_argument("scenario", nargs="?", default="default", help="its name in the file of scenarios")
    parser.add_argument("--own", action="store_true", help="against a service of its own, in a temporary folder")
    parser.add_argument("--yes", action="store_true", help="also against another machine, or a real exchange")
    parser.add_argument("--seconds", type=number_from(float, 0.5, 3_600), help="shrink all phases to so long in all")
    parser.add_argument("--scenarios", type=Path, default=FILE, help="another file of scenarios")
    parser.add_argument("--reports", type=Path, default=REPORTS, help="folder of the reports")
    parser.add_argument("--list", action="store_true", help="show the scenarios, and end")
    given = parser.parse_args(arguments)
    if given.list:
        for name, scenario in read_scenarios(given.scenarios).items():
            print(f"{name:16}{scenario.about}")
        raise SystemExit(0)
    scenario = scenario_named(given.scenario, given.scenarios)
    if given.seconds is not None:
        scenario = shortened(scenario, given.seconds)
    return Options(name=given.scenario, scenario=scenario, own=given.own, yes=given.yes, reports=given.reports)


def _ended(error: object, code: int) -> int:
    print(f"error: {error}", file=sys.stderr)
    return code


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a service of our own is ended then, too
    raise SystemExit(main())
