"""The examples in docs/protocol.md, run against the image, and README's route.

An example is a fenced block of the language `exchange`, each on a fresh device and connection:

    > ["CMD", "send_message", ["hello"]]        sent as it stands
    < {"fake_interface/msg": "HELLO"}           has to arrive

Other messages may come between, and a message may have more keys than the example. "..." stands
for any value, at the end of a list for any further elements, and as a key for any further keys.
"""

import asyncio
import itertools
import json
import re
import subprocess
import textwrap

import pytest

from command_client import Page
from support import DEADLINE, ROOT

PROTOCOL = ROOT / "docs" / "protocol.md"

ITEMS = {
    ("GET", "wifi"),
    ("GET", "state"),
    ("GET", "hal"),
    ("GET", "log"),
    ("CMD", "start_interface"),
    ("CMD", "stop_interface"),
    ("CMD", "send_message"),
    ("CMD", "hal"),
    ("CMD", "scan"),
    ("CMD", "test_new_sta"),
    ("CMD", "store_new_sta"),
    ("CMD", "set"),
    ("CMD", "reboot"),
    ("CMD", "factory_reset"),
}


def examples():
    """[(line number, [(direction, text)])] of the blocks in the document."""
    if not PROTOCOL.exists():
        return []
    found = []
    text = PROTOCOL.read_text()
    for block in re.finditer(r"^```exchange\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        lines = [line for line in block[1].splitlines() if line.strip()]
        steps = []
        for line in lines:
            match = re.fullmatch(r"([<>]) (.*)", line)
            assert match, f"neither sent nor expected: {line}"
            steps.append((match[1], match[2]))
        found.append((text[: block.start()].count("\n") + 1, steps))
    return found


def matches(expected, value):
    if expected == "...":
        return True
    if isinstance(expected, dict):
        return isinstance(value, dict) and all(
            key == "..." or (key in value and matches(expected[key], value[key]))
            for key in expected
        )
    if isinstance(expected, list):
        if not isinstance(value, list):
            return False
        if expected and expected[-1] == "...":
            expected = expected[:-1]
            value = value[: len(expected)]
        return len(expected) == len(value) and all(map(matches, expected, value))
    return type(expected) is type(value) and expected == value


def test_there_are_examples_of_every_item():
    shown = set()
    for _, steps in examples():
        for direction, text in steps:
            if direction == ">" and text.startswith("["):
                try:
                    shown.add(tuple(json.loads(text)[:2]))
                except ValueError:
                    # An example of what is malformed.
                    continue
    assert not ITEMS - shown


def names(example):
    return f"line-{example[0]}"


@pytest.mark.parametrize("example", examples(), ids=names)
async def test_example(make_image, example):
    _, steps = example
    async with Page(make_image().ws) as page:
        position = 0
        for direction, text in steps:
            if direction == ">":
                await page.connection.send(text)
                continue
            expected = json.loads(text)
            while True:
                if position == len(page.messages):
                    try:
                        async with asyncio.timeout(DEADLINE):
                            await page.receive()
                    except TimeoutError:
                        raise AssertionError(f"{expected} in {page.messages}") from None
                position += 1
                if matches(expected, page.messages[position - 1]):
                    break


@pytest.mark.parametrize(
    ("expected", "value", "result"),
    [
        ({"a": 1}, {"a": 1, "b": 2}, True),
        ({"a": 1}, {"b": 2}, False),
        ({"a": 1}, {"a": True}, False),
        ({"a": "..."}, {"a": [1, 2]}, True),
        ({"a": 1, "...": "..."}, {"a": 1}, True),
        ({"a": 1, "...": "..."}, {"b": 1}, False),
        ({"a": [1, "..."]}, {"a": [1, 2, 3]}, True),
        ({"a": [1, "..."]}, {"a": [2, 2]}, False),
        ({"a": ["...", "..."]}, {"a": []}, False),
        ({"a": [1]}, {"a": [1, 2]}, False),
        ({"a": [{"b": 1}]}, {"a": [{"b": 1, "c": 2}]}, True),
        ({"a": {}}, {"a": 5}, False),
    ],
)
def test_matching(expected, value, result):
    assert matches(expected, value) is result


def indented(text, beginning):
    """The block of `text` that begins so, without its indentation."""
    lines = text[text.index("    " + beginning) :].splitlines(True)
    return textwrap.dedent("".join(itertools.takewhile(lambda line: line[:4] == "    ", lines)))


def test_readmes_route(tmp_path):
    readme = (ROOT / "README.md").read_text()
    entry = indented(readme, '("/hello/<name>"')
    (tmp_path / "hello.py").write_text(indented(readme, "def hello("))
    done = subprocess.run(
        [ROOT / "build/host/micropython", ROOT / "tests/scripts/readme_route.py", entry],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"hello": "you", "from": "pump-7"}
