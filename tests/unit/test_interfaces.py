"""Interfaces: the base class, the registry, options, lines, and the one without hardware."""

import asyncio
import os
import sys

import interfaces
from fields import BadField
from helpers import refusal, until
from interfaces import base
from interfaces.base import (
    MESSAGE_LIMIT,
    QUEUE_LIMIT,
    Interface,
)
from interfaces.errors import NotRunning, QueueFull
from interfaces.history import SAMPLES, VALUES_MAX, History
from interfaces.lines import LINE_LIMIT, Lines
from interfaces.values import DEPTH_LIMIT, KEYS_LIMIT, SIZE_LIMIT, carried
from transport import poller

WAIT_MS = 5000


class Published(list):
    """Collects what interfaces emit."""

    def __call__(self, key, value):
        self.append((key, value))

    def of(self, key):
        return [value for each, value in self if each == key]


def make(cls, **options):
    published = Published()
    return cls("unit", published, **options), published


# The base class


class Recorder(Interface):
    """Keeps the texts that it gets, and notes how its loop ended."""

    OPTIONS = (
        ("pace", "integer", 1, 9, 1, "How fast"),
        ("pin", "pin", 0, 5, None, "Which pin"),
        ("shape", "choice", ("round", 1), None, "round", ""),
    )
    texts = ()

    async def run(self):
        self.texts = []
        self.ends = []
        try:
            while True:
                self.texts.append(await self.message())
        finally:
            await asyncio.sleep_ms(20)
            self.ends.append("clean")

    def check(self, text):
        if text == "bad":
            raise ValueError("not this one")


class Failing(Interface):
    async def run(self):
        text = await self.message()
        if text == "return":
            return
        raise RuntimeError(text)


async def test_start_and_stop():
    unit, published = make(Recorder)
    assert published == [("unit/running", False)]
    await unit.start()
    await unit.start()
    assert unit.running
    await asyncio.sleep_ms(0)
    await unit.stop()
    assert unit.ends == ["clean"] and unit.idle
    await unit.stop()
    assert not unit.running
    assert published.of("unit/running") == [False, True, False]
    # It says that there is something to be sent as soon as it waits for that.
    assert published.of("unit/takes_messages") == [True]


async def test_what_fails_while_it_is_stopped_has_ended():
    class Stubborn(Interface):
        async def run(self):
            try:
                await self.message()
            finally:
                raise OSError("not now")

    unit, published = make(Stubborn)
    await unit.start()
    await asyncio.sleep_ms(0)
    reported = []
    poller.set_reporter(lambda message, error: reported.append(str(error)))
    try:
        await asyncio.wait_for(unit.stop(), 5)
    finally:
        poller.set_reporter(None)
    assert unit.idle and not unit.running and reported == ["not now"]
    assert published.of("unit/retry_at") == []
    await unit.start()
    assert unit.running
    await asyncio.wait_for(unit.stop(), 5)


async def test_stop_before_the_first_step():
    unit, published = make(Recorder)
    await unit.start()
    await unit.stop()
    assert not unit.running
    assert published[-1] == ("unit/running", False)
    await unit.start()
    unit.send("works")
    await until(lambda: unit.texts == ["works"])
    await unit.stop()


async def test_start_waits_for_a_stop_under_way():
    unit, published = make(Recorder)
    await unit.start()
    await asyncio.sleep_ms(0)
    await asyncio.gather(unit.stop(), unit.start(), unit.stop(), unit.start())
    assert unit.running
    # The first run cleaned up before the second began.
    assert published.of("unit/running") == [False, True, False, True, False, True]
    await unit.stop()


async def test_messages_arrive_in_order():
    unit, _ = make(Recorder)
    await unit.start()
    for text in ("a", "b", "", "ü€🙂"):
        unit.send(text)
    await until(lambda: len(unit.texts) == 4)
    assert unit.texts == ["a", "b", "", "ü€🙂"]
    await unit.stop()


async def test_messages_that_are_refused():
    unit, _ = make(Recorder)
    refusal(NotRunning, unit.send, "early")
    assert issubclass(NotRunning, RuntimeError)
    await unit.start()
    refusal(ValueError, unit.send, 5)
    refusal(ValueError, unit.send, None)
    assert "1024 bytes" in refusal(ValueError, unit.send, "ü" * (MESSAGE_LIMIT // 2) + "x")
    assert refusal(ValueError, unit.send, "bad") == "not this one"
    # A lone surrogate, as JSON can carry it.
    refusal(ValueError, unit.send, bytes((0xED, 0xA0, 0x80)).decode())
    unit.send("ü" * (MESSAGE_LIMIT // 2))
    await until(lambda: len(unit.texts) == 1)
    await unit.stop()
    refusal(NotRunning, unit.send, "late")


async def test_a_full_queue_is_an_error_to_the_sender():
    unit, _ = make(Recorder)
    await unit.start()
    for i in range(QUEUE_LIMIT):
        unit.send(str(i))
    assert "busy" in refusal(QueueFull, unit.send, "more")
    await until(lambda: len(unit.texts) == QUEUE_LIMIT)
    unit.send("again")
    await until(lambda: unit.texts[-1] == "again")
    assert "more" not in unit.texts
    await unit.stop()


async def test_stop_drops_what_was_waiting():
    unit, _ = make(Recorder)
    await unit.start()
    unit.send("old")
    await unit.stop()
    await unit.start()
    unit.send("new")
    await until(lambda: len(unit.texts) == 1)
    assert unit.texts == ["new"]
    await unit.stop()


async def test_who_takes_no_messages_is_sent_none():
    class Mute(Recorder):
        takes_messages = False

    unit, _ = make(Mute)
    await unit.start()
    assert refusal(ValueError, unit.send, "hello") == "unit takes no messages"
    await unit.stop()


class Reports:
    """What the poller's reporter is told."""

    def __init__(self):
        self.messages = []

    def __call__(self, message, error=None):
        self.messages.append(message)


async def test_who_fails_is_run_again_after_longer_and_longer():
    reports = Reports()
    poller.set_reporter(reports)
    waits = []
    sleep = asyncio.sleep

    async def quick(seconds):
        waits.append(seconds)
        await asyncio.sleep_ms(0)

    unit, published = make(Failing)
    base.asyncio.sleep = quick
    try:
        await unit.start()
        for i in range(12):
            await until(lambda: unit.running)
            unit.send("wire cut")
            await until(lambda i=i: len(waits) > i)
    finally:
        base.asyncio.sleep = sleep
        poller.set_reporter(None)
    assert waits[:12] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300], waits
    # Told once: the error is the same.
    assert published.of("unit/error") == ["RuntimeError: wire cut"]
    assert len(published.of("unit/failing_since")) == 1
    assert reports.messages == ["interface unit"]
    await unit.stop()
    assert published.of("unit/error") == ["RuntimeError: wire cut"]
    await unit.start()
    assert published[-1] == ("unit/running", True)
    assert published.of("unit/error") == ["RuntimeError: wire cut", ""]
    assert published.of("unit/failing_since")[-1] is None
    unit.send("return")
    await until(lambda: not unit.running)
    assert published[-1] == ("unit/running", False) and unit.idle


async def failed_once():
    """A `Failing` that waits to be run again, and what it has published."""
    unit, published = make(Failing)
    poller.set_reporter(Reports())
    await unit.start()
    unit.send("wire cut")
    await until(lambda: published.of("unit/retry_at"))
    return unit, published


async def test_who_waits_to_be_run_again_can_be_started_and_stopped():
    unit, published = await failed_once()
    assert not unit.running and not unit.idle
    await unit.start()
    assert unit.running and published.of("unit/retry_at")[-1] is None
    unit.send("wire cut again")
    await until(lambda: len(published.of("unit/retry_at")) == 3)
    await unit.stop()
    assert unit.idle and published.of("unit/retry_at")[-1] is None
    assert published.of("unit/error")[-1] == "RuntimeError: wire cut again"
    await asyncio.sleep_ms(1100)
    assert unit.idle
    poller.set_reporter(None)


async def test_who_has_run_for_a_while_fails_no_longer():
    unit, published = await failed_once()
    await until(lambda: unit.running)
    unit.look()
    assert published.of("unit/error") == ["RuntimeError: wire cut"]
    unit._begun -= base.SOUND_S
    unit.look()
    assert published.of("unit/error") == ["RuntimeError: wire cut", ""]
    assert published.of("unit/failing_since")[-1] is None
    await unit.stop()
    poller.set_reporter(None)


async def test_who_wants_to_exit_is_run_again_like_who_fails():
    class Exiting(Interface):
        async def run(self):
            sys.exit(3)

    unit, published = make(Exiting)
    poller.set_reporter(Reports())
    await unit.start()
    await until(lambda: published.of("unit/retry_at"))
    assert published.of("unit/error") == ["SystemExit: 3"]
    await unit.stop()
    poller.set_reporter(None)


async def test_a_class_without_run_says_so():
    unit, published = make(Interface)
    poller.set_reporter(Reports())
    await unit.start()
    await until(lambda: not unit.running)
    assert ("unit/error", "NotImplementedError: run") in published
    await unit.stop()
    poller.set_reporter(None)


def test_options():
    unit, _ = make(Recorder, pace=3, title="Recorder 1", start=False)
    assert unit.options == {"pace": 3, "pin": None, "shape": "round"}
    assert unit.title == "Recorder 1" and not unit.starts
    assert make(Recorder, pace=None)[0].options["pace"] == 1
    assert refusal(ValueError, make, Recorder, speed=3) == "unknown option speed"
    for bad, expected in ((0, "1 to 9"), (10, "1 to 9"), ("3", "a whole number")):
        assert refusal(BadField, make, Recorder, pace=bad) == "pace must be " + expected
    for bad in (3.0, True):
        assert refusal(BadField, make, Recorder, pace=bad) == "pace must be a whole number"
    for bad in (True, [], "1"):
        text = refusal(BadField, make, Recorder, shape=bad)
        assert text == "shape must be one of 'round', 1", text
    for bad in ("", "x" * 65, 5):
        assert "title" in refusal(ValueError, make, Recorder, title=bad)
    assert refusal(ValueError, make, Recorder, start=1) == "start must be true or false"


# Values


class Mixed:
    pass


def test_what_json_carries_is_published_as_it_is():
    for value in (None, True, 0, -5, 2**53 - 1, 1.5, -0.0, "", "ü€🙂", [], {}, [1, [2.5, None]]):
        assert carried(value) == value and type(carried(value)) is type(value)
    assert carried((1, ("a", {"b": (True,)}))) == [1, ["a", {"b": [True]}]]
    # A copy: what its owner does to it later is nobody's concern.
    own = {"list": [1]}
    copy = carried(own)
    own["list"].append(float("nan"))
    assert copy == {"list": [1]}


def test_what_json_cannot_carry_is_refused():
    deep = 1
    for _ in range(DEPTH_LIMIT + 1):
        deep = [deep]
    assert carried(deep[0]) == deep[0]
    endless = []
    endless.append(endless)
    nan = float("nan")
    surrogate = bytes((0xED, 0xA0, 0x80)).decode()
    for bad, expected in (
        (nan, "no number in JSON"),
        (float("inf"), "no number in JSON"),
        (-float("inf"), "no number in JSON"),
        ([1, {"a": nan}], "no number in JSON"),
        (2**53, "2**53"),
        (-(2**53), "2**53"),
        (b"bytes", "bytes is nothing"),
        (bytearray(2), "bytearray is nothing"),
        ({1, 2}, "set is nothing"),
        (Mixed(), "Mixed is nothing"),
        (Mixed, "type is nothing"),
        (1j, "complex is nothing"),
        ({1: 2}, "keys are text"),
        (surrogate, "valid Unicode"),
        ("ü" + surrogate, "valid Unicode"),
        ({surrogate: 1}, "valid Unicode"),
        (deep, "nested"),
        (endless, "nested"),
        ("x" * (SIZE_LIMIT + 1), "at most"),
        ("ü" * (SIZE_LIMIT // 2 + 1), "at most"),
        ({"a": "x" * SIZE_LIMIT}, "at most"),
        ({"x" * SIZE_LIMIT: 1}, "at most"),
        ([0] * SIZE_LIMIT, "at most"),
    ):
        text = refusal(ValueError, carried, bad)
        assert expected in text, (bad, text)


async def test_a_bad_value_is_its_interface_s_own_error():
    class Bad(Interface):
        async def run(self):
            self.emit("good", 1)
            self.emit("celsius", float("nan"))

    poller.set_reporter(Reports())
    unit, published = make(Bad)
    await unit.start()
    await until(lambda: published.of("unit/error"))
    assert published.of("unit/error") == ["ValueError: nan is no number in JSON"]
    assert published.of("unit/celsius") == [] and published.of("unit/good") == [1]
    await unit.stop()
    poller.set_reporter(None)


def test_keys_are_names_and_bounded():
    unit, published = make(Recorder)
    for bad in ("", 5, None, "a/b", "a b", "running", "error", "stale_since", "x" * 33, "ü"):
        assert "key" in refusal(ValueError, unit.emit, bad, 1), bad
    for i in range(KEYS_LIMIT):
        unit.emit(f"key{i}", i)
    assert "at most" in refusal(ValueError, unit.emit, "more", 1)
    unit.emit("key0", 5)
    assert published[-1] == ("unit/key0", 5)
    unit.forget()
    assert ("unit/key0", None) in published and ("unit/running", None) in published


async def test_values_go_stale():
    class Sensor(Interface):
        fresh_s = 3

        async def run(self):
            while True:
                self.emit("value", int(await self.message()))

    unit, published = make(Sensor)
    await unit.start()
    unit.send("1")
    await until(lambda: published.of("unit/value") == [1])
    unit.look()
    unit._heard -= 4
    heard = unit._heard
    unit.look()
    unit.look()
    assert published.of("unit/stale_since") == [heard]
    unit.send("2")
    await until(lambda: published.of("unit/value") == [1, 2])
    assert published.of("unit/stale_since") == [heard, None]
    await unit.stop()
    assert len(published.of("unit/stale_since")) == 3


async def test_an_output_holds_its_value():
    class Output(Recorder):
        holds = True

    unit, published = make(Output)
    await unit.start()
    unit.emit("value", 1)
    await unit.stop()
    assert not published.of("unit/stale_since")


# Histories


def samples(history):
    return [value for _, value in history.rows()]


def test_a_history_holds_values_until_they_change():
    history = History(100)
    history.add(100, 1)
    history.add(100, 2)
    history.add(103, 4)
    assert samples(history) == [2, 2, 2, 4] and history.begin == 100
    history.end(105)
    history.add(107, 5)
    assert samples(history) == [2, 2, 2, 4, 4, 4, None, 5]
    history.reach(108)
    assert list(history.rows())[-1] == (108, 5)


def test_a_history_reaches_back_to_the_start_and_at_most_a_day():
    history = History(0)
    for now in range(0, SAMPLES * 4, 2):
        history.add(now, now)
    assert history.begin == 0 and history.interval == 4
    for at, value in history.rows():
        assert abs(value - at) <= history.interval, (at, value)
    for now in range(SAMPLES * 4, 4 * 86_400, 97):
        history.add(now, now % 1000)
    reach = history.interval * SAMPLES
    assert 86_400 <= reach < 2 * 86_400
    assert now - history.begin <= reach and history.count <= SAMPLES
    assert now - history.begin >= reach // 2 - history.interval
    # After a silence of a month there is nothing to tell of the time before.
    history.add(now + 30 * 86_400, 7)
    assert samples(history) == [7]


def test_a_number_beyond_single_precision_is_no_sample():
    history = History(0)
    for now, value in enumerate((1, 1e300, -1e300, 2)):
        history.add(now, value)
    assert samples(history) == [1, None, None, 2]


def test_numbers_have_a_history_and_no_more_than_some():
    unit, _ = make(Recorder)
    assert unit.histories is None
    unit.emit("text", "a")
    unit.emit("flag", True)
    unit.emit("msg", 5)
    assert unit.histories is None
    for i in range(VALUES_MAX + 2):
        unit.emit(f"number{i}", i)
    assert len(unit.histories) == VALUES_MAX
    unit.refresh()
    assert samples(unit.histories["number1"])[-1] == 1


# The registry


async def test_the_default_is_one_echo():
    published = Published()
    reports = []
    entries = interfaces.entries_of(None, reports.append)
    assert not reports
    made = [interfaces.create(entry, published) for entry in entries]
    assert [(i.name, i.type, i.title) for i in made] == [
        ("fake_interface", "echo", "Fake Interface Example")
    ]
    await made[0].start()
    made[0].send("Hello, wörld")
    await until(lambda: published[-1][0] == "fake_interface/msg")
    assert published[-1][1] == "HELLO, WöRLD"
    await made[0].stop()


def test_create_names_what_is_wrong():
    for config, expected in (
        (None, "an interface must be an object"),
        ({"type": "echo"}, "needs a name"),
        ({"name": 5, "type": "echo"}, "needs a name"),
        ({"name": "", "type": "echo"}, "needs a name"),
        ({"name": "x" * 33, "type": "echo"}, "needs a name"),
        ({"name": "a/b", "type": "echo"}, "interface a/b: a name has letters"),
        ({"name": "wifi", "type": "echo"}, "interface wifi: the name is taken"),
        ({"name": "a"}, "interface a: type is missing"),
        ({"name": "a", "type": 1}, "interface a: type is missing"),
        ({"name": "a", "type": "modem"}, "interface a: unknown type modem"),
        ({"name": "a", "type": "../a.B"}, "interface a: unknown type ../a.B"),
        ({"name": "a", "type": "echo", "pin": 3}, "interface a: unknown option pin"),
        ({"name": "a", "type": "echo", "emit": 3}, "interface a: "),
        ({"name": "a", "type": "no_such_module.Thing"}, "can't import no_such_module"),
        ({"name": "a", "type": "interfaces.base.Missing"}, "is not a class derived from"),
        ({"name": "a", "type": "time.sleep"}, "is not a class derived from"),
    ):
        text = refusal(ValueError, interfaces.create, config, print)
        assert expected in text, (config, text)


def test_the_list_is_bounded():
    reports = []
    configs = [{"name": f"echo{i}", "type": "echo"} for i in range(17)]
    assert interfaces.entries_of(configs, reports.append) == configs[:16]
    assert interfaces.entries_of({}, reports.append) == []
    assert interfaces.entries_of([], reports.append) == []
    assert len(reports) == 2, reports


class Shown(Recorder):
    """Says of itself what a test wants."""

    SAYS = {}

    def connection(self):
        return self.SAYS.get("connection", "")

    def values(self):
        return self.SAYS.get("values", ())


def test_what_a_class_says_of_itself_is_what_json_carries():
    sys.modules["shown"] = sys.modules[__name__]
    entry = {"name": "a", "type": "shown.Shown"}
    for says, expected in (
        ({"connection": b"bytes"}, "bytes is nothing that JSON carries"),
        ({"values": (("celsius", "°C", 1, float("nan"), 5),)}, "nan is no number"),
        ({"values": 5}, "TypeError|not iterable|iter"),
        ({"connection": "x" * SIZE_LIMIT}, "at most"),
    ):
        Shown.SAYS = says
        published = Published()
        text = refusal(ValueError, interfaces.create, entry, published)
        assert any([part in text for part in expected.split("|")]), text
        # Nothing stays of one that can't be.
        assert published[-1][1] is None
    Shown.SAYS = {"connection": "GPIO 4", "values": (("celsius", "°C", 1, None, 5),)}
    made = interfaces.create(entry, Published())
    assert made.description["values"] == [["celsius", "°C", 1, None, 5]]
    assert made.description["connection"] == "GPIO 4"


USER_MODULE = """
from interfaces.base import Interface

class Reverser(Interface):
    type = "reverser"
    title = "Reverser"

    async def run(self):
        while True:
            text = await self.message()
            self.emit("msg", "".join(reversed(text)))
"""


async def test_a_users_own_interface():
    os.mkdir("gadgets")
    exits = "import sys\nsys.exit(1)\n"
    sources = (("__init__", ""), ("turn", USER_MODULE), ("broken", "1 +"), ("exits", exits))
    for name, source in sources:
        with open(f"gadgets/{name}.py", "w") as file:
            file.write(source)
    # As the device's filesystem is on its path.
    sys.path.append(os.getcwd())
    published = Published()
    config = {"name": "mirror", "type": "gadgets.turn.Reverser"}
    mirror = interfaces.create(config, published)
    assert config == {"name": "mirror", "type": "gadgets.turn.Reverser"}
    assert mirror.type == "reverser"
    await mirror.start()
    mirror.send("abc")
    await until(lambda: ("mirror/msg", "cba") in published)
    await mirror.stop()
    text = refusal(ValueError, interfaces.create, {"name": "b", "type": "gadgets.broken.X"}, print)
    assert "can't import gadgets.broken: SyntaxError" in text, text
    text = refusal(ValueError, interfaces.create, {"name": "b", "type": "gadgets.exits.X"}, print)
    assert "can't import gadgets.exits: SystemExit" in text, text


# Lines


def test_line_ends():
    text = b"one\ntwo\r\nthree\rfour\n\n\r\nfive"
    expected = ["one", "two", "three", "four", "", ""]
    whole = Lines()
    assert whole.feed(text) == expected
    single = Lines()
    found = []
    for byte in text:
        found += single.feed(bytes((byte,)))
    assert found == expected
    assert whole and single
    assert whole.flush() == single.flush() == "five"
    assert not whole


def test_a_long_line_comes_in_pieces():
    lines = Lines()
    assert lines.feed(b"x" * (LINE_LIMIT + 3) + b"\n") == ["x" * LINE_LIMIT, "xxx"]


def test_a_piece_does_not_end_within_a_character():
    for character in ("ü", "€", "🙂"):
        size = len(character.encode())
        for before in range(1, size):
            lines = Lines()
            start = "x" * (LINE_LIMIT - before)
            assert lines.feed((start + character + "\n").encode()) == [start, character]
    lines = Lines()
    assert lines.feed(b"\x80" * LINE_LIMIT) == ["\\x80" * LINE_LIMIT]
