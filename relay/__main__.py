"""The program: `python -m relay`, which `make relay` runs."""

import asyncio
import logging
import signal
import sys

from relay.config import Config, ConfigError, load
from relay.server import Relay


async def run(config: Config) -> None:
    """Serve until the process is told to end."""
    relay = Relay(config)
    await relay.start()
    print(
        f"ready: devices at ws://{config.device_host}:{relay.device_port}/, "
        f"pages at ws://{config.page_host}:{relay.page_port}/",
        flush=True,
    )
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    await ended.wait()
    await relay.stop()


def main() -> int:
    try:
        config = load(sys.argv[1:])
    except ConfigError as error:
        print(f"relay: {error}", file=sys.stderr)
        return 2
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("websockets").setLevel(logging.WARNING)
    try:
        import uvloop
    except ImportError:
        factory = None
    else:
        factory = uvloop.new_event_loop
    try:
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(run(config))
    except OSError as error:
        print(f"relay: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
