"""A WebSocket server that sends back what it receives; for testing networks and clients."""

import asyncio

import board
from device.log import log
from device.net import keep_running
from device.net.wifi import Wifi
from websockets import Server


async def _echo(connection):
    # Not `async for`: the suspended loop would keep the last message.
    while True:
        await connection.send(await connection.recv())


async def _run(config):
    wifi = Wifi(config, lambda state: None, log)
    wifi.start()
    task = asyncio.create_task(keep_running(wifi))
    server = Server(_echo, max_size=config.get("echoserver/max_size"))
    listener = server.listen(
        config.get("echoserver/listen_addr"), config.get("echoserver/listen_port")
    )
    board.ready(None, listener)
    try:
        await server.serve_forever()
    finally:
        task.cancel()


def app_main(config):
    """Serve at echoserver/listen_addr and echoserver/listen_port for ever."""
    asyncio.run(_run(config))
