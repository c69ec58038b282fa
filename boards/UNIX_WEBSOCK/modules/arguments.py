"""What the program `websock` does before the device: its arguments, its filesystem.

A module of its own, because websock.py lets go of it: its memory is the device's then.
"""

import os
import sys

import vfs

_USAGE = (
    "usage: websock [--data DIR] [--host ADDRESS] [--http-port PORT] [--ws-port PORT] "
    "[--https-port PORT] [--dns-port PORT] [--heap SIZE] [--chip] [--bench]"
)


class _Usage(Exception):
    pass


def _parse(arguments):
    options = {
        "--data": "websock-data",
        "--host": "127.0.0.1",
        "--http-port": "8080",
        "--ws-port": "7777",
        "--https-port": None,
        "--dns-port": None,
    }
    flags = {"--bench": False, "--chip": False}
    arguments = list(arguments)
    while arguments:
        name = arguments.pop(0)
        if name in flags:
            flags[name] = True
            continue
        if name in ("-h", "--help"):
            print(_USAGE)
            sys.exit(0)
        name, given, value = name.partition("=")
        if name not in options:
            raise _Usage("unknown argument " + name)
        if not given:
            if not arguments:
                raise _Usage(name + " needs a value")
            value = arguments.pop(0)
        options[name] = value
    ports = []
    for name in ("--http-port", "--ws-port", "--https-port", "--dns-port"):
        value = options[name]
        if value is None:
            continue
        if not value.isdigit() or int(value) > 65535:
            raise _Usage(f"{name} must be a port from 0 to 65535, not {value!r}")
        port = options[name] = int(value)
        if name == "--dns-port":  # UDP has ports of its own
            continue
        if port and port in ports:
            raise _Usage(f"{name} {port} is another option's too")
        ports.append(port)
    if not options["--host"]:
        raise _Usage("--host must be an address")
    options.update(flags)
    return options


def _mount(folder):
    if not folder:
        raise _Usage("--data must be a folder")
    path = ""
    for part in folder.split("/"):
        path += part + "/"
        try:
            os.stat(path)
        except OSError:
            try:
                os.mkdir(path[:-1])
            except OSError as error:
                raise _Usage(f"--data {folder}: can't be made ({error})")
    if not os.stat(folder)[0] & 0x4000:
        raise _Usage(f"--data {folder}: not a folder")
    if not folder.startswith("/"):
        folder = os.getcwd() + "/" + folder
    vfs.umount("/")
    vfs.mount(vfs.VfsPosix(folder), "/")


def prepare(arguments):
    """Make the device's filesystem, and its settings from the program's arguments.

    Returns:
        None, or the text that says what is wrong with the arguments.
    """
    try:
        options = _parse(arguments)
        _mount(options["--data"])
    except _Usage as error:
        return str(error)

    import board

    board.bench = options["--bench"]
    if options["--chip"]:
        import chip

        board.chip = chip
        board.repl = os.getenv("MICROPYINSPECT") is not None
    host = options["--host"]

    def port(name, variable, free=0):
        # Any free one is the one that it was before a restart. Where 0 is none, `free` is -1.
        return options[name] or int(os.getenv(variable) or free)

    http_port = port("--http-port", board.HTTP_PORT)
    ws_port = port("--ws-port", board.WS_PORT)
    board.overrides.update(
        {
            "http/ip": host,
            "http/port": http_port,
            "https/ip": host,
            "websocket/ip": host,
            "websocket/port": ws_port,
            "echoserver/listen_addr": host,
            "echoserver/listen_port": ws_port,
        }
    )
    board.overrides["portal/dns_port"] = 0
    if options["--dns-port"] is not None:
        board.overrides["portal/dns_port"] = port("--dns-port", board.DNS_PORT, -1)
    if options["--https-port"] is not None:
        board.overrides["https/port"] = port("--https-port", board.HTTPS_PORT, -1)
    return None
