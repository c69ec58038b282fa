"""The program `websock`: the device on this computer.

    websock [--data DIR] [--host ADDRESS] [--http-port PORT] [--ws-port PORT]
        [--https-port PORT] [--dns-port PORT] [--chip] [--bench]

`--heap SIZE` is taken by the shell script that starts the interpreter. DIR becomes the device's
filesystem. Ends with 0 on SIGINT or SIGTERM, with 2 and one line on stderr when the arguments or
a port can't be used. Without --data, DIR is `websock-data` in the current folder; without
--https-port, app.json says whether there is HTTPS; without --dns-port there is no DNS, whose port
is the system's. With --chip it starts as a chip does: with a watchdog, safe mode and copies of the
settings; in a terminal, Ctrl-C leads to the REPL.
"""

import sys


def _fail(text):
    print(f"websock: {text}", file=sys.stderr)
    sys.exit(2)


def _run():
    import arguments

    wrong = arguments.prepare(sys.argv[1:])
    del arguments, sys.modules["arguments"]
    if wrong:
        _fail(wrong)

    from transport import AddressError

    try:
        import main  # noqa: F401, it runs the device
    except AddressError as error:
        _fail(error)


try:
    _run()
except KeyboardInterrupt:
    import board

    if board.chip is None or not board.repl:
        sys.exit(0)
    # For the REPL, as on a chip.
except MemoryError as error:
    import board

    if not board.served:
        _fail("--heap is too small for the device")
    sys.print_exception(error, sys.stderr)
    _fail("the device ended without memory")
