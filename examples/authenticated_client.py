"""Connects with a token and prints the greeting, or the status of the refusal.

usage: authenticated_client.py URI TOKEN
"""

import asyncio
import sys

from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus


async def main(uri, token):
    headers = {"Authorization": "Bearer " + token}
    try:
        async with connect(uri, additional_headers=headers) as websocket:
            print(await websocket.recv())
    except InvalidStatus as error:
        print("refused with", error.response.status_code)


asyncio.run(main(sys.argv[1], sys.argv[2]))
