"""The messages that the relay reads and makes: the device's command protocol, and `websock.v1`.

A request is `[verb, item, arguments]`; with an id as fourth item, its answer has that `id`. A page
that speaks `websock.v1` may add options as fifth: `{"wait": seconds}` is how long a command to a
device that is away is kept for it. See docs/protocol.md and docs/relay.md.
"""

import json
import math
from dataclasses import dataclass
from typing import Any

SUBPROTOCOL = "websock.v1"

VERBS = ("GET", "CMD")
ID_MAX = 40

# Of a device's message that is no JSON object.
Keys = dict[str, Any]


class BadRequest(ValueError):
    """A message that is no request; the text is for its sender.

    Attributes:
        number: the id that the answer has, None without one.
    """

    def __init__(self, text: str, number: int | str | None = None) -> None:
        super().__init__(text)
        self.number = number


@dataclass(frozen=True, slots=True)
class Request:
    """What a page asks of a device.

    Attributes:
        number: the id of the answer, None without one.
        wait: seconds that it may wait for a device that is away, 0 for none.
    """

    verb: str
    item: str
    arguments: list[Any]
    number: int | str | None = None
    wait: float = 0

    def text(self, number: int | str | None = None) -> str:
        """The message to a device, with another id."""
        request: list[Any] = [self.verb, self.item, self.arguments]
        if number is not None:
            request.append(number)
        return json.dumps(request, ensure_ascii=False, separators=(",", ":"))


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is too large")
    return value


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no JSON")


# RFC 8259 section 6: no NaN and no infinity, which no browser would read.
_decode = json.JSONDecoder(parse_float=_finite, parse_constant=_no_number).decode


def loads(message: str | bytes) -> Any:
    """What a message says in JSON.

    Raises:
        ValueError: it isn't JSON.
    """
    try:
        return _decode(message if isinstance(message, str) else message.decode())
    except RecursionError:
        raise ValueError("nested too deeply") from None


def parse(message: str | bytes) -> Request:
    """The request in a message.

    Raises:
        BadRequest: it is none.
    """
    try:
        found = loads(message)
    except ValueError as error:
        raise BadRequest(f"message is not JSON ({error})") from None
    if not isinstance(found, list):
        raise BadRequest('message is not a list like ["GET", "wifi", []]')
    if not 2 <= len(found) <= 5:
        raise BadRequest(f"message has {len(found)} items instead of 2 to 5")
    verb, item = found[:2]
    arguments, number, options = (*found[2:], None, None, None)[:3]
    if not _is_id(number):
        raise BadRequest(f"the id must be a whole number, or text of 1 to {ID_MAX} characters")
    if verb not in VERBS:
        raise BadRequest(f"unknown request {_quoted(verb)}: use GET or CMD", number)
    if not isinstance(item, str):
        raise BadRequest("the second item must be text", number)
    if arguments is None:
        arguments = []
    if not isinstance(arguments, list):
        raise BadRequest("the arguments must be a list", number)
    return Request(verb, item, arguments, number, _wait(options, number))


def _is_id(number: Any) -> bool:
    if isinstance(number, str):
        return 0 < len(number) <= ID_MAX
    return number is None or (isinstance(number, int) and not isinstance(number, bool))


def _wait(options: Any, number: int | str | None) -> float:
    if options is None:
        return 0
    if not isinstance(options, dict) or set(options) - {"wait"}:
        raise BadRequest('the options must be an object like {"wait": 3600}', number)
    wait = options.get("wait", 0)
    if isinstance(wait, bool) or not isinstance(wait, int | float) or not wait >= 0:
        raise BadRequest("wait must be a number of seconds", number)
    return wait


def _quoted(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 42 else text[:41] + "…"


def keys_of(message: str | bytes) -> Keys | None:
    """The JSON object in a device's message, None when it is none."""
    if not message or message[0] not in ("{", ord("{")):
        return None
    try:
        found = loads(message)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def is_whole(keys: Keys) -> bool:
    """Whether a message without id is the whole state: that alone has the time."""
    return "uptime" in keys and "iam" in keys


def is_event(key: str) -> bool:
    """Whether a key passes once and is not kept."""
    return key in ("info", "error", "field", "saved", "wifi/scan") or key.endswith("/msg")


def dumps(values: Keys) -> str:
    """A message of keys."""
    return json.dumps(values, ensure_ascii=False, separators=(",", ":"))


def answer(number: int | str | None, values: Keys) -> str:
    """An answer by the id that was asked with."""
    return dumps(values if number is None else {"id": number, **values})


def refusal(number: int | str | None, text: str) -> str:
    """An error by the id that was asked with."""
    return answer(number, {"error": text})
