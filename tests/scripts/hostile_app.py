"""The device with deadlines of app.json's choice and routes that fail."""

import asyncio

import httpd.connection
from device.device import Device


def app_main(config):
    for name, value in config.section("hostile").items():
        setattr(httpd.connection, name, value)
    device = Device(config)

    @device.web.get("/raises")
    def raises(request):
        raise ValueError("secret")

    @device.web.post("/raises-later")
    async def raises_later(request):
        await request.read()
        raise ValueError("secret")

    @device.web.get("/no-memory")
    def no_memory(request):
        return bytearray(1 << 30)

    @device.web.post("/no-memory-later")
    async def no_memory_later(request):
        pieces = []
        async for _ in request:
            pieces.append(bytearray(1 << 16))
        while True:
            pieces.append(bytearray(1 << 16))

    asyncio.run(device.run())
