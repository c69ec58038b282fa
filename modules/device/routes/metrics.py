"""What the device counts, in Prometheus' text format 0.0.4 (GET /metrics)."""

import gc

import board
import clock

import build_info

from ..pieces import joined

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def pieces(device):
    """All metrics of a `device.Device` as an iterator of bytes."""
    return (text.encode() for text in joined(_families(device)))


def _families(device):
    group = device.group
    secure = sum([connection.secure for connection in group.connections])
    hub = device.hub
    build = {"version": build_info.VERSION, "micropython": build_info.MICROPYTHON}
    yield _family("build_info", "gauge", "What runs on the device.", (build, 1))
    yield _gauge("uptime_seconds", "Time since the start.", round(clock.uptime(), 1))
    yield _counter("resets_total", "Restarts that the device made itself.", board.resets())
    recovery = int(bool(device.recovery))
    yield _gauge("recovery", "1 while the device runs in place of an app that failed.", recovery)
    statuses = device.web.statuses
    yield _family(
        "http_responses_total",
        "counter",
        "HTTP responses by status code.",
        *[({"code": str(code)}, statuses[code]) for code in sorted(statuses)],
    )
    yield _gauge("connections", "Open connections, HTTP and WebSocket.", len(group.connections))
    yield _gauge("secure_connections", "Those with TLS.", secure)
    yield _counter("connections_accepted_total", "Connections accepted.", group.accepted)
    yield _counter("connections_refused_total", "Connections over the limit.", group.refused)
    yield _counter(
        "connections_evicted_total",
        "Connections closed to make room.",
        group.evicted,
    )
    password = device.access.password
    refused = 0 if password is None else password.attempts.refused
    yield _counter("logins_refused_total", "Logins refused.", refused)
    yield _gauge("clients", "WebSocket clients.", len(hub.clients))
    closes = device.sockets.closes or {1000: 0}
    yield _family(
        "websocket_closes_total",
        "counter",
        "WebSockets closed by close code; 1006: without one.",
        *[({"code": str(code)}, closes[code]) for code in sorted(closes)],
    )
    yield _counter("messages_received_total", "Messages received from clients.", hub.messages)
    yield _counter("messages_dropped_total", "Messages not sent to clients too slow.", hub.dropped)
    if device.home is not None:
        link = hub.relay
        dropped = device.home.dropped + (0 if link is None else link.dropped)
        yield _counter("relay_dropped_total", "Events the relay was too slow for.", dropped)
    gc.collect()
    allocated, free = gc.mem_alloc(), gc.mem_free()
    yield _gauge("heap_allocated_bytes", "Heap in use after a collection.", allocated)
    yield _gauge("heap_free_bytes", "Heap free after a collection.", free)
    signal = hub.state.get("wifi/net/rssi")
    if signal is not None:
        yield _gauge("wifi_signal_dbm", "Strength of the station's network.", signal)
    system = board.system_heap()
    if system is not None:
        free, largest, minimum = system
        yield _gauge("system_heap_free_bytes", "Memory that Wi-Fi and TCP live from, free.", free)
        yield _gauge("system_heap_largest_bytes", "Its largest free block.", largest)
        yield _gauge("system_heap_minimum_bytes", "The least that was ever free of it.", minimum)


def _family(name, kind, purpose, *samples):
    name = "websock_" + name
    text = f"# HELP {name} {purpose}\n# TYPE {name} {kind}\n"
    for labels, value in samples:
        if labels:
            pairs = ",".join([f'{label}="{_escape(labels[label])}"' for label in labels])
            text += f"{name}{{{pairs}}} {value}\n"
        else:
            text += f"{name} {value}\n"
    return text


def _counter(name, purpose, value):
    return _family(name, "counter", purpose, (None, value))


def _gauge(name, purpose, value):
    return _family(name, "gauge", purpose, (None, value))


def _escape(value):
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
