"""The command protocol's parser, the phone-home schedule, the hub and the log."""

import asyncio
import json

import websockets
from device import log as log_module
from device.access.origin import same_host, same_origin, same_site, secure_origin
from device.commands import MAX_COMMAND, CommandError, Commands, decode, id_of, parse
from device.hub import Hub
from device.net.home import RETRY_JITTER, delay, uris
from device.pieces import PIECE, joined, of_state

HOST_ONLY = True  # device.commands needs the host board


def taken_apart(message):
    request = decode(message)
    return parse(request), id_of(request)


def error_of(message):
    try:
        taken_apart(message)
    except CommandError as error:
        return str(error)
    raise AssertionError(message)


def test_requests_are_taken_apart():
    for message, request, number in (
        ('["GET", "wifi", []]', ("GET", "wifi", []), None),
        ('["GET", "wifi"]', ("GET", "wifi", []), None),
        ('["GET", "wifi", null]', ("GET", "wifi", []), None),
        ('["GET", "wifi", null, 7]', ("GET", "wifi", []), 7),
        ('["GET", "wifi", [], null]', ("GET", "wifi", []), None),
        ('["GET", "wifi", [], 0]', ("GET", "wifi", []), 0),
        ('["GET", "wifi", [], "a"]', ("GET", "wifi", []), "a"),
        (b'["CMD", "send_message", ["\xc3\xa9"]]', ("CMD", "send_message", ["é"]), None),
        (bytearray(b'["CMD","set",["a",1]]'), ("CMD", "set", ["a", 1]), None),
    ):
        assert taken_apart(message) == (request, number), message


def test_malformed_requests_are_named():
    for message, text in (
        ("", "message is not JSON"),
        ("hello", "message is not JSON"),
        ('["GET", "wifi"', "message is not JSON"),
        ('["GET", "wifi", []] x', "message is not JSON"),
        (b"\xff\xfe", "message is not UTF-8"),
        ("5", "message is not a list"),
        ('{"GET": "wifi"}', "message is not a list"),
        ("null", "message is not a list"),
        ("[]", "message has 0 items"),
        ('["GET"]', "message has 1 items"),
        ('["GET", "wifi", [], 1, 2]', "message has 5 items"),
        ('["GET", "wifi", [], ""]', "the id must be"),
        ('["GET", "wifi", [], 1.5]', "the id must be"),
        ('["GET", "wifi", [], true]', "the id must be"),
        ('["GET", "wifi", [], [1]]', "the id must be"),
        (f'["GET", "wifi", [], "{"x" * 41}"]', "the id must be"),
        ('[1, "wifi", []]', "the first item must be text"),
        ('["GET", 1, []]', "the second item must be text"),
        ('["GET", "wifi", "x"]', "the arguments must be a list"),
        ('["GET", "wifi", {}]', "the arguments must be a list"),
        (" " * (MAX_COMMAND + 1), f"message over {MAX_COMMAND} bytes"),
        ("é" * (MAX_COMMAND // 2 + 1), f"message over {MAX_COMMAND} bytes"),
        ("[" * MAX_COMMAND, "message is not JSON"),
    ):
        assert text in error_of(message), (message, error_of(message))


def test_errors_repeat_only_the_beginning_of_a_message():
    assert len(error_of("x" * MAX_COMMAND)) < 100


def test_delays_grow_with_jitter_up_to_a_bound():
    middle = [delay(attempt, lambda: 0.5) for attempt in range(40)]
    assert middle[0] == 5
    assert middle == sorted(middle)
    assert middle[-1] == 60
    assert delay(0, lambda: 0) == 5 * (1 - RETRY_JITTER)
    assert delay(0, lambda: 1) == 5 * (1 + RETRY_JITTER)
    assert len({delay(3) for _ in range(20)}) > 1


def test_uris_of_the_relays():
    def of(**fields):
        values = {
            "home/ip": "",
            "home/host": "",
            "home/port": 7770,
            "home/path": "",
            "home/tls": None,
            "home/token": "",
            "device/iam": "a1",
        }
        values.update({"home/" + key: value for key, value in fields.items()})
        return uris(values)

    assert of() == of(host=" , ") == []
    assert of(ip="10.0.0.1") == ["ws://10.0.0.1:7770/a1"]
    assert of(host="relay.example", ip="10.0.0.1", port=80) == ["ws://relay.example:80/a1"]
    assert of(ip="::1", path="/x/y") == ["ws://[::1]:7770/x/y"]
    assert of(host="a.example, b.example:80 10.0.0.1,[::1] [::2]:81,::3", token="x") == [
        "wss://a.example:7770/a1",
        "wss://b.example:80/a1",
        "wss://10.0.0.1:7770/a1",
        "wss://[::1]:7770/a1",
        "wss://[::2]:81/a1",
        "wss://[::3]:7770/a1",
    ]
    assert of(host="a", token="x", tls=False) == ["ws://a:7770/a1"]


def sent_by(hub, steps):
    """Run `steps` (an async function) and return the JSON objects broadcast meanwhile."""
    sent = []
    original = websockets.broadcast
    websockets.broadcast = lambda clients, text: sent.append(json.loads(text))
    hub.clients.add(object())
    try:
        asyncio.run(steps())
    finally:
        websockets.broadcast = original
    return sent


def test_changes_of_one_turn_travel_together_and_only_changes():
    hub = Hub()

    async def steps():
        hub.update({"a": 1, "b": 2})
        hub.update({"b": 3})
        await asyncio.sleep_ms(5)
        hub.update({"a": 1})
        await asyncio.sleep_ms(5)
        hub.update({"b": None})
        await asyncio.sleep_ms(5)

    assert sent_by(hub, steps) == [{"a": 1, "b": 3}, {"b": None}]
    assert hub.state == {"a": 1}


def test_events_follow_the_changes_before_them_and_are_not_kept():
    hub = Hub()

    async def steps():
        hub.publish("pump/running", True)
        hub.publish("pump/msg", "hello")
        await asyncio.sleep_ms(5)

    assert sent_by(hub, steps) == [{"pump/running": True}, {"pump/msg": "hello"}]
    assert hub.state == {"pump/running": True}


async def test_clients_come_back_for_what_there_is_no_memory_to_send():
    class Member:
        closed = None

        def start_closing(self, code, reason):
            self.closed = code, reason

    def fail(clients, text):
        raise MemoryError

    hub = Hub()
    member = Member()
    hub.clients.add(member)
    missed = hub._joining[1] = set()
    original, websockets.broadcast = websockets.broadcast, fail
    try:
        hub.update({"a": 1})
        while member.closed is None:
            await asyncio.sleep_ms(20)
    finally:
        websockets.broadcast = original
    assert member.closed == (1013, "out of memory") and missed == {"a"}
    # What changes after that is told again.
    hub.clients.clear()
    hub.update({"a": 2})
    await asyncio.sleep_ms(5)
    assert not hub._changed and not hub._flushing


def test_the_state_comes_in_pieces():
    rows = [["key", "mV", 0, None, i] for i in range(60)]
    for state in ({}, {"list": []}, {"é": "\n", "list": rows, "n": None, "o": {"a": [1]}}):
        found = list(of_state(state))
        whole = json.loads("".join(found))
        assert type(whole.pop("uptime")) is int
        assert whole == state
        assert max([len(piece) for piece in found]) <= PIECE
    text = "x" * (3 * PIECE)
    assert list(joined(("a", "b", text, "c"))) == ["ab", text, "c"]
    assert list(joined(())) == [""]


class Client:
    """A connection whose peer takes one piece at a time, and leaves after `messages`."""

    dropped = 0

    class request:
        path = "/"

    def __init__(self, *messages):
        self.messages = list(messages)
        self.sent = []
        self.began = asyncio.Event()  # the first message is being sent

    async def send(self, message):
        self.began.set()
        text = ""
        for piece in (message,) if isinstance(message, str) else message:
            text += piece
            await asyncio.sleep_ms(5)
        self.sent.append(json.loads(text))

    def __aiter__(self):
        return self

    async def __anext__(self):
        if not self.messages:
            raise StopAsyncIteration
        return self.messages.pop(0)


async def join(size):
    """What a client is sent that joins while the state, of `size` keys, changes."""
    hub = Hub()
    hub.update({f"key {i}": ["é", i] for i in range(size)})
    await asyncio.sleep_ms(5)
    client = Client("hello")
    handled = []

    async def handle(sender, message):
        handled.append(message)

    task = asyncio.create_task(hub.serve(client, handle))
    await client.began.wait()
    hub.update({"key 0": "new", "key 1": None})
    await task
    assert handled == ["hello"] and not hub.clients
    return hub.state, client.sent


async def test_joining_client_gets_the_state_and_what_changes_meanwhile():
    state, (seen, changed) = await join(0)
    assert seen == {"uptime": seen["uptime"]} and changed == state == {"key 0": "new"}
    for size in (2, 200):
        state, (seen, changed) = await join(size)
        assert changed == {"key 0": "new", "key 1": None}
        seen.update(changed)
        del seen["uptime"]
        del seen["key 1"]
        assert seen == state and len(state) == size - 1


async def test_without_wifi_nothing_is_announced():
    class Wifi:
        station = None

    hub = Hub()
    client = Client()
    commands = Commands(hub, None, Wifi(), [], None, None, None)
    seen = len(log_module.lines())
    for message in ('["CMD", "scan"]', '["CMD", "test_new_sta", ["net", "password"]]'):
        await commands.handle(client, message, "admin")
    assert [sent["error"].partition(": ")[2] for sent in client.sent] == [
        "this device has no Wi-Fi"
    ] * 2
    assert len(log_module.lines()) == seen


def test_log_keeps_the_last_lines_cut_and_on_one_line():
    for i in range(log_module.MAX_LINES + 5):
        log_module.log("info", f"line {i}\nsecond")
    log_module.log("error", "x" * 1000)
    lines = log_module.lines()
    assert len(lines) == log_module.MAX_LINES
    assert len(lines[-1]) == log_module.MAX_LINE
    assert " info line " in lines[0] and "\n" not in lines[0]


def test_own_pages_and_clients_without_origin_may_connect():
    assert same_origin(None, "device")
    assert same_origin("http://device", "device")
    assert same_origin("http://device:80", "device")
    assert same_origin("http://Device:8080", "device:8080")
    assert same_origin("https://device", "device")
    for origin, host in (
        ("https://device:443", "device"),
        ("https://device", "device:443"),
        ("https://device:8443", "device:8443"),
        ("https://[fe80::1]", "[FE80::1]:443"),
    ):
        assert same_origin(origin, host) and secure_origin(origin, host), origin
    assert secure_origin(None, "device")
    assert same_host("http://device", "device:7777")
    assert same_host("http://[fe80::1]:80", "[FE80::1]:7777")


def test_foreign_pages_may_not():
    for origin in (
        "null",
        "",
        "http://",
        "http://evil",
        "http://device.evil",
        "device",
        "http://device:81",
    ):
        assert not same_origin(origin, "device"), origin
        assert not secure_origin(origin, "device"), origin
    # Over TLS a page without it is a foreign one.
    for origin in ("http://device", "http://device:443", "https://device:80", "ftp://device"):
        assert not secure_origin(origin, "device"), origin
    for origin in (
        "null",
        "",
        "http://",
        "http://evil",
        "http://device.evil",
        "http://evil/device",
    ):
        assert not same_host(origin, "device:7777"), origin
    assert not same_origin("http://device", None)
    assert not same_host("http://device", None)


def test_site_of_a_request_over_tls():
    for headers, good in (
        ({}, True),
        ({"origin": "https://device"}, True),
        ({"origin": "http://device"}, False),
        ({"referer": "https://device/login"}, True),
        ({"referer": "http://device/login"}, False),
        ({"sec-fetch-site": "cross-site"}, False),
    ):
        headers["host"] = "device"
        assert same_site(headers, True) is good, headers
