"""Runs an interface on this computer, without the device, and prints what it publishes."""

import asyncio
import json
import sys

import interfaces
import machine

# MicroPython keeps no docstrings.
USAGE = """\
usage: micropython try_interface.py [--folder DIR] [--seconds N] TYPE [OPTION=VALUE ...]

TYPE is "gpio", "adc" and so on, or a class as "module.Class" in DIR, by default the working
directory. Values are JSON, or text. A line that is typed is sent to the interface."""


def stop(text):
    print(text, file=sys.stderr)
    sys.exit(1)


def value_of(text):
    try:
        return json.loads(text)
    except ValueError:
        return text


def publish(key, value):
    print(key, json.dumps(value))


async def send_lines(unit):
    reader = asyncio.StreamReader(sys.stdin)  # type: ignore[arg-type]
    while line := await reader.readline():
        try:
            unit.send(line.decode().rstrip("\n"))
        except (ValueError, RuntimeError) as error:
            print("refused:", error)


async def run(entry, seconds):
    unit = interfaces.create(entry, publish)
    unit.prepare()
    await unit.start()
    typed = asyncio.create_task(send_lines(unit))
    while seconds != 0:
        await asyncio.sleep(1)
        unit.look()
        seconds -= 1
    typed.cancel()
    await unit.stop()


def main(arguments):
    folder, seconds = ".", -1
    while arguments and arguments[0].startswith("--"):
        name, value = arguments.pop(0), arguments.pop(0)
        if name == "--folder":
            folder = value
        elif name == "--seconds":
            seconds = int(value)
        else:
            stop(f"unknown argument {name}")
    if not arguments:
        stop(USAGE)
    machine.FOLDER = folder + "/"
    sys.path.append(folder)
    entry = {"name": "unit", "type": arguments.pop(0)}
    for argument in arguments:
        name, _, value = argument.partition("=")
        entry[name] = value_of(value)
    try:
        asyncio.run(run(entry, seconds))
    except ValueError as error:
        stop(str(error))


main(sys.argv[1:])
