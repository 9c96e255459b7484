"""The process: takes the folder, and runs one exchange after the other on it until it is told to stop."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
from collections.abc import Callable
from contextlib import nullcontext

from simulated_exchange.config import ExchangeConfig, TcpAddress, UnixAddress
from simulated_exchange.control import control_endpoint
from simulated_exchange.controls import Controls
from simulated_exchange.faults import Faults
from simulated_exchange.folder import locked_folder
from simulated_exchange.house import House
from simulated_exchange.life import Ends, live

logger = logging.getLogger("simulated_exchange")

Ready = Callable[[str], None]


def run(config: ExchangeConfig, ready: Ready | None = None) -> None:
    """Serves until SIGTERM or SIGINT; `ready` gets the address once clients can connect. Raises ExchangeError."""

    async def until_signaled() -> None:
        ends = Ends()
        loop = asyncio.get_running_loop()

        def on_ready(address: str) -> None:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, ends.stop.set)
            if ready is not None:
                ready(address)

        await serve(config, on_ready, ends)

    asyncio.run(until_signaled())


async def serve(config: ExchangeConfig, ready: Ready, ends: Ends) -> None:
    """Serves until `ends`; `ready` is called once. Raises ExchangeError where it cannot start or go on."""
    asyncio.get_running_loop().set_exception_handler(lambda _, context: ends.on_defect(context))
    house = House(config.seed, config.fill_delay_us, is_open=config.house)
    controls = Controls(Faults(config.faults, config.seed), house)
    address = config.address

    def up(listens_at: UnixAddress | TcpAddress) -> None:
        nonlocal address
        address = listens_at
        if controls.starts > 1:
            logger.warning("the exchange is up again")
            return
        ready(str(address))
        controls.begin_outage(config.outage_s)

    with locked_folder(config.data_dir):
        crashing = asyncio.create_task(controls.crash_now_and_then())
        try:
            async with control_endpoint(config.data_dir, controls) if config.control else nullcontext():
                await live(config, address, controls, ends, up)
                while not ends.stop.is_set():
                    logger.warning("the exchange is down for %.1f s", controls.outage_left_s())
                    await controls.outage_over(ends.stop)
                    if not ends.stop.is_set():
                        gc.unfreeze()  # the last life is no more
                        gc.collect()
                        await live(config, address, controls, ends, up)
        finally:
            crashing.cancel()
