"""What an exchange is started with, checked."""

from __future__ import annotations

import math
from pathlib import Path

from msgspec import Struct

from simulated_exchange.bounds import MAX_FILL_DELAY_S, MAX_OUTAGE_S, MAX_UNIX_PATH_BYTES
from simulated_exchange.errors import BadSetting
from simulated_exchange.faults import FaultPlan

SOCKET_NAME = "exchange.sock"
DEFAULT_FILL_DELAY_S = (4.0, 6.0)


class UnixAddress(Struct, frozen=True):
    path: Path

    def __str__(self) -> str:
        return str(self.path)


class TcpAddress(Struct, frozen=True):
    host: str
    port: int  # 0: any free one

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class ExchangeConfig(Struct, frozen=True):
    data_dir: Path
    address: UnixAddress | TcpAddress
    seed: int = 0
    fill_delay_s: tuple[float, float] = DEFAULT_FILL_DELAY_S
    faults: FaultPlan = FaultPlan()
    house: bool = True
    outage_s: float = 0.0  # begins as soon as it has started
    control: bool = False

    @property
    def fill_delay_us(self) -> tuple[int, int]:
        low, high = self.fill_delay_s
        return round(low * 1_000_000), round(high * 1_000_000)


def parse_address(text: str, data_dir: Path) -> UnixAddress | TcpAddress:
    """A path of a Unix socket, or host:port; empty: a socket in the data folder. Raises BadSetting."""
    host, colon, port = text.rpartition(":")
    if colon and "/" not in text:
        host = host.removeprefix("[").removesuffix("]")
        if not host or not port.isascii() or not port.isdigit() or int(port) > 65_535:
            raise BadSetting(f"EXCHANGE_ADDRESS {text!r} is neither a socket's path nor host:port")
        return TcpAddress(host, int(port))
    path = Path(text).absolute() if text else data_dir.absolute() / SOCKET_NAME
    size = len(str(path).encode())
    if size > MAX_UNIX_PATH_BYTES:
        raise BadSetting(
            f"EXCHANGE_ADDRESS {path} is too long for a socket ({size} bytes, at most {MAX_UNIX_PATH_BYTES}): "
            "set a shorter path, or host:port"
        )
    return UnixAddress(path)


def parse_range_s(name: str, text: str, most: float) -> tuple[float, float]:
    """Seconds as "4-6" or "4". Raises BadSetting, naming the setting."""
    low_text, dash, high_text = text.partition("-")
    try:
        low = float(low_text)
        high = float(high_text) if dash else low
    except ValueError:
        low = high = math.nan
    if not 0.0 <= low <= high <= most:
        raise BadSetting(f'{name} {text!r} is not seconds like "4" or "4-6", from 0 to {most:g}')
    return low, high


def parse_fill_delay(text: str) -> tuple[float, float]:
    return parse_range_s("EXCHANGE_FILL_DELAY", text, MAX_FILL_DELAY_S)


def parse_outage_s(text: str) -> float:
    """Seconds as "60" or "60s", minutes as "10m". Raises BadSetting."""
    number, unit_s = (text[:-1], 60.0) if text.endswith("m") else (text.removesuffix("s"), 1.0)
    try:
        seconds = float(number) * unit_s
    except ValueError:
        seconds = math.nan
    if not 0.0 <= seconds <= MAX_OUTAGE_S:
        raise BadSetting(f'outage {text!r} is not a time like "60s" or "10m", up to {MAX_OUTAGE_S:g} s')
    return seconds
