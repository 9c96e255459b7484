"""`python -m load.page REPORT.json [PAGE.html]`: the page of a report that was measured before."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from load.page.page import page
from load.run.report import Report

USAGE = 2


def main(arguments: list[str]) -> int:
    if len(arguments) not in (1, 2):
        print("usage: python -m load.page REPORT.json [PAGE.html]", file=sys.stderr)
        return USAGE
    source = Path(arguments[0])
    target = Path(arguments[1]) if len(arguments) > 1 else source.with_suffix(".html")
    try:
        report = msgspec.json.decode(source.read_bytes(), type=Report)
        target.write_text(page(report), encoding="utf-8")
    except (OSError, msgspec.DecodeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(target)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
