"""Sockets for servers and clients: one connection = one writer, one deadline, no task.

A `Connection` moves bytes between a non-blocking socket and a protocol object, the way CPython's
asyncio separates transports from protocols. It is driven by asyncio's own poll (`poller.Poller`),
so an idle connection costs neither a task nor a receive buffer: every connection reads into one
shared block, and what a protocol can't consume yet is kept aside.

What every message passes, here and in the protocols, is compiled to native code: it takes half the
time of bytecode, at some three times its size in flash.

A protocol has these methods; none of them may block or keep a reference to the block:

- `data_received(block, start, end) -> int`: consume bytes, return where it stopped.
- `wanted`: None, or a memoryview that the next bytes are read into directly, followed by
  `filled(n)`: for large payloads whose size is known.
- `sent()`: everything that had been queued is written.
- `eof_received()`: the peer sends no more.
- `timed_out()`: the deadline that the protocol set has passed.
- `connection_lost(error)`: called once, `error` is None after an orderly close; and again when it
  raised MemoryError.
- `idle_since`: the `time.ticks_ms()` since when its peer has owed something or asked for nothing,
  so that the connection may be closed to make room for another; None while it may not.
- `rests`, if need be: True while it owes nothing, and its peer needn't ask for anything either.
- `quiet_since`, of a protocol whose connections last: the `time.ticks_ms()` of its peer's last
  message. When none that is idle can make room, the one that is quiet longest does. `probe()`, if
  there is one, makes it idle if its peer is gone.
- `held`, if need be: bytes that it keeps of what its peer hasn't finished.
- `make_way()`, if need be: called before the connection is closed for the sake of others.

A protocol hands the connection over by `Connection.set_protocol`; the next one gets the bytes that
it didn't consume.
"""

import lazy

from . import poller  # noqa: F401, it takes its place in asyncio

__getattr__ = lazy.loader(
    globals(),
    (
        ("client", ("open_connection", "resolve")),
        ("connection", ("Connection", "ConnectionLost", "peer_address")),
        ("listener", ("AddressError", "Group", "Listener", "bound_socket")),
        ("poller", ("close_all", "report", "set_namer", "set_reporter", "suspend", "wake")),
    ),
)
