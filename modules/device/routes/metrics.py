"""What the device counts, in Prometheus' text format 0.0.4 (GET /metrics)."""

import gc

import board
import clock

import build_info

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def text(device):
    """All metrics of a `device.Device` as one text, in bytes."""
    gc.collect()
    group = device.group
    secure = sum([connection.secure for connection in group.connections])
    hub = device.hub
    lines = []

    def family(name, kind, purpose, *samples):
        name = "websock_" + name
        lines.append(f"# HELP {name} {purpose}\n# TYPE {name} {kind}\n")
        for labels, value in samples:
            if labels:
                pairs = ",".join([f'{label}="{_escape(labels[label])}"' for label in labels])
                lines.append(f"{name}{{{pairs}}} {value}\n")
            else:
                lines.append(f"{name} {value}\n")

    def counter(name, purpose, value):
        family(name, "counter", purpose, (None, value))

    def gauge(name, purpose, value):
        family(name, "gauge", purpose, (None, value))

    build = {"version": build_info.VERSION, "micropython": build_info.MICROPYTHON}
    family("build_info", "gauge", "What runs on the device.", (build, 1))
    gauge("uptime_seconds", "Time since the start.", round(clock.uptime(), 1))
    counter("resets_total", "Restarts that the device made itself.", board.resets())
    recovery = int(bool(device.recovery))
    gauge("recovery", "1 while the device runs in place of an app that failed.", recovery)
    statuses = device.web.statuses
    family(
        "http_responses_total",
        "counter",
        "HTTP responses by status code.",
        *[({"code": str(code)}, statuses[code]) for code in sorted(statuses)],
    )
    gauge("connections", "Open connections, HTTP and WebSocket.", len(group.connections))
    gauge("secure_connections", "Those with TLS.", secure)
    counter("connections_accepted_total", "Connections accepted.", group.accepted)
    counter("connections_refused_total", "Connections over the limit.", group.refused)
    counter(
        "connections_evicted_total",
        "Connections closed to make room.",
        group.evicted,
    )
    password = device.access.password
    refused = 0 if password is None else password.attempts.refused
    counter("logins_refused_total", "Logins refused.", refused)
    gauge("clients", "WebSocket clients.", len(hub.clients))
    closes = device.sockets.closes or {1000: 0}
    family(
        "websocket_closes_total",
        "counter",
        "WebSockets closed by close code; 1006: without one.",
        *[({"code": str(code)}, closes[code]) for code in sorted(closes)],
    )
    counter("messages_received_total", "Messages received from clients.", hub.messages)
    counter("messages_dropped_total", "Messages not sent to clients too slow.", hub.dropped)
    gauge("heap_allocated_bytes", "Heap in use after a collection.", gc.mem_alloc())
    gauge("heap_free_bytes", "Heap free after a collection.", gc.mem_free())
    signal = hub.state.get("wifi/net/rssi")
    if signal is not None:
        gauge("wifi_signal_dbm", "Strength of the station's network.", signal)
    system = board.system_heap()
    if system is not None:
        free, largest, minimum = system
        gauge("system_heap_free_bytes", "Memory that Wi-Fi and TCP live from, free.", free)
        gauge("system_heap_largest_bytes", "Its largest free block.", largest)
        gauge("system_heap_minimum_bytes", "The least that was ever free of it.", minimum)
    return "".join(lines).encode()


def _escape(value):
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
