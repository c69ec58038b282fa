"""Interfaces: the base class, the registry, options, lines, and the one without hardware."""

import asyncio
import os
import sys

import interfaces
from helpers import refusal, until
from interfaces.base import MESSAGE_LIMIT, QUEUE_LIMIT, Interface, NotRunning, QueueFull
from interfaces.lines import LINE_LIMIT, Lines
from interfaces.options import boolean, integer, one_of

WAIT_MS = 5000


class Published(list):
    """Collects what interfaces emit."""

    def __call__(self, key, value):
        self.append((key, value))


def make(cls, **options):
    published = Published()
    return cls("unit", published, **options), published


# The base class


class Recorder(Interface):
    """Keeps the texts that it gets, and notes how its loop ended."""

    OPTIONS = {"pace": (1, integer(1, 9)), "pin": (None, integer(0, 5))}
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
    assert unit.ends == ["clean"]
    await unit.stop()
    assert not unit.running
    running = [("unit/running", value) for value in (False, True, False)]
    assert published == running, published


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
    assert [value for _, value in published] == [False, True, False, True, False, True]
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


async def test_an_exception_becomes_state():
    unit, published = make(Failing)
    await unit.start()
    unit.send("wire cut")
    await until(lambda: not unit.running)
    assert published[-2:] == [("unit/error", "RuntimeError: wire cut"), ("unit/running", False)]
    await unit.stop()
    await unit.start()
    assert published[-2:] == [("unit/error", ""), ("unit/running", True)]
    unit.send("return")
    await until(lambda: not unit.running)
    assert published[-1] == ("unit/running", False)


async def test_a_class_without_run_says_so():
    unit, published = make(Interface)
    await unit.start()
    await until(lambda: not unit.running)
    assert ("unit/error", "NotImplementedError: run") in published


def test_options():
    unit, _ = make(Recorder, pace=3, title="Recorder 1")
    assert unit.options == {"pace": 3, "pin": None}
    assert unit.title == "Recorder 1"
    assert refusal(ValueError, make, Recorder, speed=3) == "unknown option speed"
    expected = "pace must be a whole number from 1 to 9"
    for bad in (0, 10, "3", 3.0, True, None):
        assert refusal(ValueError, make, Recorder, pace=bad) == expected, bad
    for bad in ("", "x" * 65, 5):
        assert "title" in refusal(ValueError, make, Recorder, title=bad)


def test_option_checks():
    assert integer(0, 5)(5) == 5
    assert one_of("a", 1)("a") == "a"
    assert refusal(ValueError, one_of("a", 1), True) == "must be one of 'a', 1"
    refusal(ValueError, one_of("a", 1), [])
    assert boolean(False) is False
    refusal(ValueError, boolean, 0)


# The registry


async def test_the_default_is_one_echo():
    published = Published()
    reports = []
    made = interfaces.create_all(None, published, reports.append)
    assert not reports
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


def test_bad_entries_are_left_out():
    reports = []
    configs = [{"name": f"echo{i}", "type": "echo"} for i in range(15)]
    configs.insert(1, {"name": "echo0", "type": "echo"})
    configs.append({"name": "one_too_many", "type": "echo"})
    made = interfaces.create_all(configs, Published(), reports.append)
    assert [i.name for i in made] == [f"echo{i}" for i in range(15)]
    assert len(reports) == 2, reports
    assert reports[1] == "interface echo0: there are two of that name"
    assert interfaces.create_all({}, Published(), reports.append) == []
    assert interfaces.create_all([], Published(), reports.append) == []
    assert len(reports) == 3


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
    for name, source in (("__init__", ""), ("turn", USER_MODULE), ("broken", "1 +")):
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
