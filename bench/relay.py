"""Measure the relay beside a bare pipe of `websockets` and nats-server, and print a table.

usage: relay.py [--devices 10000] [--pages 1000] [--rate 2000] [--seconds 10] [--json FILE]
                [--only relay,pipe,nats,one,three]

The relay, the pipe of relay_pipe.py, and the WebSocket of Debian's nats-server where it is
installed (a page subscribes to what its device publishes), one after the other: memory per device
as the fleet grows; the CPU that a message costs; how late it arrives; and for the relay, how long
a fleet takes to be back when it has been killed and started again. Compare within one run only.

"one" and "three" are so many relays on NATS, all on this computer: memory and CPU are those of the
relays and of NATS together, and each page is at another relay than its device.
"""

import argparse
import asyncio
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import uvloop

from relay_load import Latencies, connect, many, return_by_itself, state, stream

ROOT = Path(__file__).parents[1]
AT_A_TIME = 50
TICKS = os.sysconf("SC_CLK_TCK")


NATS = """
listen: 127.0.0.1:%d
max_payload: 65536
websocket { listen: "127.0.0.1:%d", no_tls: true }
"""
JETSTREAM = """
listen: 127.0.0.1:%d
jetstream { store_dir: "%s", max_file: 8G }
"""
CONNECT = b'CONNECT {"verbose": false}\r\n'
RELAYS = {"relay": 1, "one": 1, "three": 3}


class Server:
    """A relay or what stands for one, at ports that it keeps; or several.

    Attributes:
        name: which.
        subprotocol: what its devices speak.
    """

    def __init__(self, name, folder):
        self.name = name
        self.relays = RELAYS.get(name, 0)
        self.subprotocol = "websock.v1" if self.relays else None
        self._folder = Path(folder)
        count = self.relays or 1
        self._device_ports, self._page_ports = free_ports(count), free_ports(count)
        if name == "nats":
            self._page_ports = self._device_ports
        self._processes = []
        self._nats = None
        if self.relays and name != "relay":
            (port,) = free_ports(1)
            self._nats_url = f"nats://127.0.0.1:{port}"
            self._nats = self._start_nats(JETSTREAM % (port, self._folder / "jetstream"))

    def start(self):
        for device_port, page_port in zip(self._device_ports, self._page_ports, strict=True):
            ports = [str(device_port), str(page_port)]
            if self.name == "nats":
                config = NATS % (free_ports(1)[0], device_port)
                self._processes.append(self._start_nats(config))
            elif self.name == "pipe":
                self._start([str(ROOT / "bench" / "relay_pipe.py"), *ports])
            else:
                command = ["-m", "relay", "--data", str(self._folder), "--device-rate", "0"]
                command += ["--page-rate", "0", "--max-pages-of-one", "2000", "--open-devices"]
                command += ["--device-port", ports[0], "--page-port", ports[1]]
                if self._nats is not None:
                    command += ["--nats", self._nats_url]
                self._start(command)

    def _start(self, arguments):
        # The relay has a line for each device: more than a pipe holds that nobody reads.
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert process.stdout.readline().startswith(b"ready")
        self._processes.append(process)

    def _start_nats(self, config):
        file = self._folder / "nats.conf"
        file.write_text(config)
        process = subprocess.Popen(["nats-server", "-c", str(file)], stderr=subprocess.PIPE)
        while b"Server is ready" not in process.stderr.readline():
            pass
        return process

    async def device(self, n):
        """A device that has told its state."""
        port = self._device_ports[n % len(self._device_ports)]
        peer = await connect(port, self._path(n), self.subprotocol)
        if self.name == "nats":
            peer.send(CONNECT)
        self.tell(peer, n, state(f"device-{n}"))
        return peer

    async def page(self, n, take):
        """A page that looks at a device."""
        port = self._page_ports[(n + 1) % len(self._page_ports)]
        peer = await connect(port, self._path(n), take=take)
        if self.name == "nats":
            peer.send(CONNECT + b"SUB device-%d 1\r\n" % n)
        return peer

    def tell(self, peer, n, message):
        """Have a device send a message."""
        if self.name == "nats":
            message = b"PUB device-%d %d\r\n%s\r\n" % (n, len(message), message)
        peer.send(message)

    def _path(self, n):
        return "/" if self.name == "nats" else f"/device-{n}"

    def kill(self):
        for process in self._processes:
            process.kill()
            process.communicate()
        self._processes.clear()

    def stop(self):
        for process in self._processes:
            process.send_signal(signal.SIGTERM)
            process.communicate()
        if self._nats is not None:
            self._nats.kill()
            self._nats.communicate()

    def _pids(self):
        return [each.pid for each in (*self._processes, self._nats) if each is not None]

    def memory(self):
        """Resident KiB."""
        return sum(map(resident, self._pids()))

    def cpu(self):
        """Seconds of CPU so far."""
        return sum(map(cpu_time, self._pids()))


def resident(pid):
    """Resident KiB of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise RuntimeError("no VmRSS")


def cpu_time(pid):
    """Seconds of CPU of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def free_ports(count):
    import socket

    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


async def measure(server, options):
    """The figures of one server, by their names."""
    figures = {}
    server.start()

    await asyncio.sleep(1)
    empty = server.memory()
    devices = []
    for count in sorted({100, min(1000, options.devices), options.devices}):
        began, cpu = time.perf_counter(), server.cpu()
        before = len(devices)
        devices += await many(
            count - before, AT_A_TIME, lambda n, before=before: server.device(before + n)
        )
        await asyncio.sleep(2)
        figures[f"KiB per device, {count}"] = (server.memory() - empty) / count
        if count == options.devices:
            spent = (server.cpu() - cpu) / (count - before)
            figures["ms of CPU per connection"] = 1000 * spent
            figures["s to connect all"] = time.perf_counter() - began - 2
    latencies = Latencies()
    pages = await many(options.pages, AT_A_TIME, lambda n: server.page(n, latencies.take))
    await asyncio.sleep(1)

    def tell(n):
        text = b'{"tank/value": %d, "t": %.6f}' % (n, time.perf_counter())
        server.tell(devices[n % options.pages], n % options.pages, text)

    cpu = server.cpu()
    sent = await stream(tell, options.rate, options.seconds)
    await asyncio.sleep(1)
    figures["us of CPU per message"] = 1e6 * (server.cpu() - cpu) / sent
    figures["messages that arrived"] = len(latencies.values) / sent
    for share in (0.5, 0.99):
        figures[f"ms late, {share:.0%}"] = latencies.quantile(share)
    if server.relays:
        figures["s until all are back"] = await storm(server, devices)
    for peer in (*devices, *pages):
        peer.transport.abort()
    server.stop()
    return figures


async def storm(server, devices):
    """Kill the relay, start it again; seconds until every device is back."""
    began = time.perf_counter()
    server.kill()
    server.start()
    await asyncio.gather(*(peer.closed for peer in devices))
    devices[:] = await asyncio.gather(
        *(return_by_itself(lambda n=n: server.device(n)) for n in range(len(devices)))
    )
    return time.perf_counter() - began


def table(results):
    """The figures as lines of Markdown."""
    names = list(results)
    others = [each for each in names[1:] if each in ("pipe", "nats")]
    lines = ["| | " + " | ".join([*names, *(f"{names[0]} / {each}" for each in others)]) + " |"]
    lines.append("| --- " * (len(names) + len(others) + 1) + "|")
    for figure, value in results[names[0]].items():
        values = [results[name].get(figure) for name in names]
        shown = ["" if each is None else f"{each:.3g}" for each in values]
        beside = [results[name].get(figure) for name in others]
        shown += [f"{value / each:.2f}" if each else "" for each in beside]
        lines.append(f"| {figure} | " + " | ".join(shown) + " |")
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=10_000)
    parser.add_argument("--pages", type=int, default=1_000)
    parser.add_argument("--rate", type=int, default=2_000)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--json", type=Path)
    nats = ",nats,one,three" if shutil.which("nats-server") else ""
    parser.add_argument("--only", default="relay,pipe" + nats)
    options = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    results = {}
    for name in options.only.split(","):
        with tempfile.TemporaryDirectory() as folder:
            results[name] = uvloop.run(measure(Server(name, folder), options))
    print("\n".join(table(results)))
    if options.json:
        options.json.write_text(json.dumps(results))


if __name__ == "__main__":
    main()
