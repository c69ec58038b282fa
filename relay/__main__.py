"""The program: `python -m relay`, which `make relay` runs."""

import argparse
import asyncio
import gc
import signal
import sys

from relay import logs, orders
from relay.config import Config, ConfigError, add_arguments, load
from relay.orders import OrderError
from relay.server import running
from relay.store import StoreError

# Net allocations until the cyclic collector looks at new objects, and how often it goes further.
# Of ten thousand connections hardly anything is garbage in cycles, and to look at all of it stops
# everybody for tens of milliseconds.
GC_THRESHOLDS = (100_000, 50, 1_000)


async def run(config: Config) -> None:
    """Serve until the process is told to end."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    async with running(config) as relay:
        socket, page = ("wss", "https") if config.cert else ("ws", "http")
        print(
            f"ready: devices at {socket}://{_host(config.device_host)}:{relay.device_port}/, "
            f"pages at {page}://{_host(config.page_host)}:{relay.page_port}/",
            flush=True,
        )
        await ended.wait()


def _host(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="relay", description="Where devices that phone home and pages meet."
    )
    add_arguments(parser)
    orders.add_orders(parser)
    given = parser.parse_args()
    try:
        config = load(vars(given))
        if given.order:
            print(asyncio.run(orders.carry_out(given, config)))
            return 0
        logs.start(config)
        gc.set_threshold(*GC_THRESHOLDS)
        _serve(config)
    except (ConfigError, OrderError) as error:
        print(f"relay: {error}", file=sys.stderr)
        return 2
    except (OSError, StoreError) as error:
        print(f"relay: {error}", file=sys.stderr)
        return 1
    return 0


def _serve(config: Config) -> None:
    try:
        import uvloop
    except ImportError:
        factory = None
    else:
        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(run(config))


if __name__ == "__main__":
    sys.exit(main())
