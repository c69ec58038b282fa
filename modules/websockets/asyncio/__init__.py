"""The names under which Python's `websockets` keeps its asyncio implementation."""
