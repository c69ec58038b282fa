"""Runs the test functions of one file on MicroPython and reports each on standard output.

usage: micropython runner.py MODULE TEST...

Every report is one line of JSON behind the character RS (0x1e), so that it can't be taken for
something a test prints:
    {"start": name}                      before a test
    {"end": name, "traceback": text}     after it; "" when it passed
    {"traceback": text}                  the module itself could not be imported
A test function takes no arguments and fails by raising. An `async def` test runs on an event loop
of its own, and an exception that nobody took from one of its tasks fails it too.
"""

import asyncio
import io
import json
import sys


def report(**fields):
    print("\x1e" + json.dumps(fields))


def traceback_of(error):
    text = io.StringIO()
    sys.print_exception(error, text)
    return text.getvalue()


def run(function):
    """Run one test function; return the traceback of its failure, or ""."""
    loop = asyncio.new_event_loop()
    lost = []
    loop.set_exception_handler(lambda loop, context: lost.append(context["exception"]))
    try:
        result = function()
        # Calling an `async def` function gives a generator; any other test returns None.
        if result is not None:
            asyncio.run(result)
    except BaseException as error:
        return traceback_of(error)
    return "".join(traceback_of(error) for error in lost)


def main(module_name, names):
    try:
        module = __import__(module_name)
    except BaseException as error:
        report(traceback=traceback_of(error))
        return
    for name in names:
        report(start=name)
        report(end=name, traceback=run(getattr(module, name)))


main(sys.argv[1], sys.argv[2:])
