"""The version of this library; its API is that of Python's `websockets` 17."""

__version__ = "0.1.0"
