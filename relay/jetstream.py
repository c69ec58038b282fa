"""What the relays of a cluster keep in NATS JetStream, and what they see of each other's.

Four key-value buckets are mirrored by every relay, so that reading them waits for nobody: tables
(who may what, groups, alerts), last states, commands that wait, and who is connected where. The
history and the audit log are streams, read where they are asked for. What has been written is on
as many servers as `nats_replicas` says.

A part of a key is base64 without padding (RFC 4648 section 5), as devices' names have dots, which
NATS has between parts, and tildes, which no key can have.
"""

import asyncio
import contextlib
import json
import logging
import re
import secrets
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

from nats.aio.client import Client
from nats.errors import ConnectionReconnectingError, NoServersError
from nats.errors import Error as NatsError
from nats.js.api import (
    ConsumerConfig,
    DeliverPolicy,
    DiscardPolicy,
    KeyValueConfig,
    StorageType,
    StreamConfig,
)
from nats.js.errors import (
    BadRequestError,
    KeyWrongLastSequenceError,
    NotFoundError,
    ServerError,
    ServiceUnavailableError,
)

from relay.config import Config
from relay.grants import Grant
from relay.mirror import PAUSE, TIMEOUT, Mirror
from relay.storage import Queues
from relay.store import AUDIT_MAX, Entry, StoreError, Waiting

TABLES = "relay_tables"
STATES = "relay_states"
WAITING = "relay_waiting"
PRESENCE = "relay_presence"
HISTORY = "relay_history"
AUDIT = "relay_audit"

DAY = 86_400.0

# Seconds: to connect at the start, to try again while the servers find a new leader, and while
# there is no connection.
CONNECT_TIMEOUT = 5
PATIENCE = 8.0
RECONNECT = 3.0

# Seconds within which a message that comes again is known for it; NATS' own default.
DUPLICATES = 120.0

# Messages that are written at a time, without waiting for one to be kept.
AT_A_TIME = 256

# JSStorageResourcesExceededErr.
_NO_ROOM = 10047

# JSStreamWrongLastSequenceErrF: somebody else has written the key meanwhile.
_WRONG_SEQUENCE = (10071, 10164)

T = TypeVar("T")

log = logging.getLogger("relay")


def encoded(name: str) -> str:
    """A part of a key or subject."""
    return urlsafe_b64encode(name.encode()).decode().rstrip("=")


def decoded(part: str) -> str:
    """What is in a part of a key or subject."""
    return urlsafe_b64decode(part + "=" * (-len(part) % 4)).decode()


class JetStream:
    """The storage of a cluster; its methods are `storage.Sqlite`'s.

    Args:
        config: the servers, and how much they keep for how long.

    Attributes:
        queues: the commands that wait.
        errors: how often it has failed.
        client: the connection.
        last_states, presence: what is in these buckets.
        on_reconnected: called when the connection is there again.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self.queues = Queues()
        self.errors = 0
        self.client = Client()
        self.on_reconnected: Callable[[], None] = lambda: None
        self._js = self.client.jetstream(timeout=TIMEOUT)
        self._tables = Mirror(self._js, TABLES)
        self._tables.on_put = self._row_put
        self._tables.on_delete = self._row_gone
        self._rows_of: dict[str, dict[tuple[str, ...], tuple[Any, int]]] = {}
        self.last_states = Mirror(self._js, STATES)
        self.presence = Mirror(self._js, PRESENCE)
        self._waiting = Mirror(self._js, WAITING)
        self._waiting.on_put = self._command_added
        self._waiting.on_delete = self._command_gone
        self._commands: dict[str, Waiting] = {}
        self._mirrors = (self._tables, self.last_states, self.presence, self._waiting)

    # From start to end

    async def start(self) -> None:
        """Connect, make what isn't there, and read what is to be at hand.

        Raises:
            StoreError: there is no server, or none that has JetStream.
        """
        # Without the names and passwords.
        servers = ", ".join(re.sub("//.*@", "//", each) for each in self._config.nats)
        try:
            await self.client.connect(
                list(self._config.nats),
                name="relay",
                error_cb=self._failed,
                disconnected_cb=self._disconnected,
                reconnected_cb=self._reconnected,
                connect_timeout=CONNECT_TIMEOUT,
                reconnect_time_wait=PAUSE,  # type: ignore[arg-type] # any number does
                max_reconnect_attempts=1,
                ping_interval=2,
                max_outstanding_pings=2,
            )
        except (NatsError, OSError, ValueError) as error:
            why = self.client.last_error if isinstance(error, NoServersError) else error
            text = str(why) or type(why).__name__
            raise StoreError(f"NATS at {servers} can't be reached: {text}") from error
        # From now on it is tried for ever.
        self.client.options["max_reconnect_attempts"] = -1
        try:
            await self._patiently(self._make)
            async with asyncio.timeout(PATIENCE):
                for mirror in self._mirrors:
                    await mirror.start()
        except (StoreError, BadRequestError, TimeoutError) as error:
            text = str(error) or "no answer"
            raise StoreError(f"NATS at {servers} can't be used: {text}") from error

    async def _make(self) -> None:
        config = self._config
        copies = config.nats_replicas or (3 if len(config.nats) >= 3 else 1)
        for bucket, ttl in ((TABLES, 0.0), (STATES, 0.0), (WAITING, config.waiting_s + DAY)):
            await self._make_bucket(bucket, copies, StorageType.FILE, ttl)
        # Who is connected is written again by whom they are connected to.
        await self._make_bucket(PRESENCE, copies, StorageType.MEMORY, 0)
        age = max(1.0, config.history_days * DAY)  # 0 would be for ever
        window = min(age, DUPLICATES)
        await self._make_stream(
            HISTORY, copies, max_age=age, max_bytes=config.data_max, duplicate_window=window
        )
        await self._make_stream(AUDIT, copies, max_msgs=AUDIT_MAX)

    async def _make_bucket(self, name: str, copies: int, kind: StorageType, ttl: float) -> None:
        try:
            found = (await self._js.stream_info("KV_" + name)).config
        except NotFoundError:
            about = KeyValueConfig(bucket=name, replicas=copies, storage=kind, ttl=ttl or None)
            await self._js.create_key_value(about)
        else:
            await self._update(found, num_replicas=copies, max_age=ttl)

    async def _make_stream(self, name: str, copies: int, **limits: Any) -> None:
        try:
            found = (await self._js.stream_info(name)).config
        except NotFoundError:
            about = StreamConfig(
                name=name,
                subjects=[name.replace("_", ".") + ".>"],
                storage=StorageType.FILE,
                num_replicas=copies,
                discard=DiscardPolicy.OLD,
                **limits,
            )
            try:
                await self._js.add_stream(about)
            except ServerError as error:
                if error.err_code != _NO_ROOM:
                    raise
                text = f"data_max, {about.max_bytes} bytes, is more than it has for JetStream"
                raise StoreError(text) from error
        else:
            await self._update(found, num_replicas=copies, **limits)

    async def _update(self, found: StreamConfig, **wanted: Any) -> None:
        # The configuration of who has started last counts.
        if any(getattr(found, each) != wanted[each] for each in wanted):
            await self._js.update_stream(found.evolve(**wanted))

    async def close(self) -> None:
        """End."""
        for mirror in self._mirrors:
            await mirror.stop()
        with contextlib.suppress(NatsError, OSError):
            await self.client.close()

    async def _failed(self, error: Exception) -> None:
        log.debug("NATS: %s", error)

    async def _disconnected(self) -> None:
        if not self.client.is_closed:
            log.error("NATS: the connection is lost")

    async def _reconnected(self) -> None:
        log.info("NATS: connected again")
        for mirror in self._mirrors:
            mirror.refresh()
        self.on_reconnected()

    async def _patiently(self, work: Callable[[], Awaitable[T]]) -> T:
        # A server that is gone, or a stream without a leader, is another's turn in a moment.
        began = time.monotonic()
        while True:
            try:
                if not self.client.is_connected:
                    # The client would keep it, and send it later, when it has been refused.
                    raise ConnectionReconnectingError
                return await work()
            except (BadRequestError, NotFoundError):
                raise  # an answer
            except (NatsError, TimeoutError, OSError) as error:
                late = time.monotonic() - began
                if late > (PATIENCE if self.client.is_connected else RECONNECT):
                    raise self._fails(error) from error
            await asyncio.sleep(PAUSE)

    def _fails(self, error: Exception) -> StoreError:
        self.errors += 1
        if isinstance(error, ServiceUnavailableError):
            return StoreError("NATS keeps nothing now: no JetStream answers (nats-server -js)")
        return StoreError(f"NATS keeps nothing now: {str(error) or type(error).__name__}")

    # Writing

    async def _put(self, mirror: Mirror, bucket: str, key: str, value: bytes) -> int:
        # Not KeyValue's: with an acknowledgment that was lost, the second time is known for it.
        headers = {"Nats-Msg-Id": secrets.token_hex(8)}
        subject = f"$KV.{bucket}.{key}"
        found = await self._patiently(
            lambda: self._js.publish(subject, value, headers=dict(headers))
        )
        await mirror.reach(found.seq)
        return found.seq

    async def _delete(self, mirror: Mirror, bucket: str, key: str, last: int = 0) -> bool:
        headers = {"KV-Operation": "DEL"}
        if last:
            headers["Nats-Expected-Last-Subject-Sequence"] = str(last)
        subject = f"$KV.{bucket}.{key}"
        try:
            found = await self._patiently(lambda: self._js.publish(subject, headers=dict(headers)))
        except BadRequestError as error:
            if error.err_code in _WRONG_SEQUENCE:
                return False
            raise self._fails(error) from error
        await mirror.reach(found.seq)
        return True

    async def _create(self, key: str, value: bytes) -> bytes:
        """The value of a key of the tables, which is `value` if there was none."""
        bucket = await self._patiently(lambda: self._js.key_value(TABLES))

        async def work() -> int:
            try:
                return await bucket.create(key, value)
            except KeyWrongLastSequenceError:
                return 0

        revision = await self._patiently(work)
        if not revision:
            entry = await self._patiently(lambda: bucket.get(key))
            return entry.value or b""
        await self._tables.reach(revision)
        return value

    async def _publish(self, subject: str, payload: bytes) -> None:
        headers = {"Nats-Msg-Id": secrets.token_hex(8)}
        await self._patiently(lambda: self._js.publish(subject, payload, headers=dict(headers)))

    async def _many(self, works: Iterable[Awaitable[Any]]) -> None:
        places = asyncio.Semaphore(AT_A_TIME)

        async def one(work: Awaitable[Any]) -> None:
            async with places:
                await work

        for result in await asyncio.gather(*map(one, works), return_exceptions=True):
            if isinstance(result, BaseException):
                raise result

    async def _replace(self, bucket: str, name: str, value: bytes) -> int:
        # A second time does no harm.
        subject = f"$KV.{bucket}.{encoded(name)}"
        return (await self._patiently(lambda: self._js.publish(subject, value))).seq

    async def _set(self, key: str, value: Any) -> int:
        return await self._put(self._tables, TABLES, key, json.dumps(value).encode())

    async def _unset(self, key: str) -> bool:
        known = key in self._tables.values
        if known:
            await self._delete(self._tables, TABLES, key)
        return known

    def _row_put(self, key: str, value: bytes, revision: int) -> None:
        table, *parts = key.split(".")
        if table != "secret":
            self._rows_of.setdefault(table, {})[tuple(parts)] = json.loads(value), revision

    def _row_gone(self, key: str) -> None:
        table, *parts = key.split(".")
        self._rows_of.get(table, {}).pop(tuple(parts), None)

    def _rows(self, table: str) -> list[tuple[tuple[str, ...], Any, int]]:
        # What follows the table's name in the key, the value, and its revision; oldest first.
        rows = [(key, *row) for key, row in self._rows_of.get(table, {}).items()]
        return sorted(rows, key=lambda row: row[2])

    async def version(self) -> int:
        """A number that changes when another relay has changed something.

        Raises:
            StoreError: there is no connection to NATS.
        """
        if not self.client.is_connected:
            raise StoreError("NATS: there is no connection")
        return self._tables.changes

    async def secret(self, name: str, make: Callable[[], bytes]) -> bytes:
        """The secret of a name, made the first time."""
        return await self._create("secret." + encoded(name), make())

    # Tokens of devices

    async def add_device_token(self, device: str, digest: str) -> None:
        """Let a device in by a token; the others stay, until this one is used."""
        await self._set(f"device_token.{encoded(device)}.{digest}", {"made": time.time()})

    async def device_tokens(self) -> dict[str, set[str]]:
        """The tokens of each device that has one."""
        found: dict[str, set[str]] = {}
        for (device, digest), about, _ in self._rows("device_token"):
            known = found.setdefault(decoded(device), set())
            known.add("revoked " + digest if about.get("revoked") else digest)
        return found

    async def device_token_used(self, device: str, digest: str) -> bool:
        """Note that a token was used: those made before it end. Says whether there were any."""
        rows = [row for row in self._rows("device_token") if row[0][0] == encoded(device)]
        used = [revision for key, _, revision in rows if key[1] == digest]
        before = [key for key, _, revision in rows if used and revision < used[0]]
        for key in before:
            await self._unset("device_token." + ".".join(key))
        return bool(before)

    async def revoke_device(self, device: str) -> int:
        """End a device's tokens; says how many. It needs a new one from now on."""
        done = 0
        for key, about, _ in self._rows("device_token"):
            if key[0] == encoded(device) and not about.get("revoked"):
                await self._set("device_token." + ".".join(key), {**about, "revoked": True})
                done += 1
        return done

    # Users and tokens of pages

    async def set_user(self, grant: Grant, password: str) -> None:
        """Make a user, or change one; `password` is a hash."""
        about = {**_about(grant), "password": password, "admin": grant.admin}
        await self._set("user." + encoded(grant.who), about)

    async def users(self) -> dict[str, tuple[str, Grant]]:
        """The password's hash and the grant of each user."""
        return {
            decoded(name): (about["password"], _grant(decoded(name), about))
            for (name,), about, _ in self._rows("user")
        }

    async def remove_user(self, name: str) -> bool:
        """End a user; says whether there was one."""
        return await self._unset("user." + encoded(name))

    async def add_page_token(self, grant: Grant, digest: str, expires: float | None) -> None:
        """Let pages and scripts in by a token.

        Raises:
            ValueError: there is one of this name.
        """
        about = json.dumps({**_about(grant), "hash": digest, "expires": expires}).encode()
        if await self._create("page_token." + encoded(grant.who), about) != about:
            raise ValueError(f"there is a token {grant.who} already")

    async def page_tokens(self) -> dict[str, tuple[Grant, float | None]]:
        """The grant and the end of each token, by its SHA-256."""
        return {
            about["hash"]: (_grant(decoded(name), about), about["expires"])
            for (name,), about, _ in self._rows("page_token")
        }

    async def remove_page_token(self, name: str) -> bool:
        """End a page token; says whether there was one."""
        return await self._unset("page_token." + encoded(name))

    # Audit log

    async def note(self, who: str, what: str, device: str | None = None, detail: str = "") -> None:
        """Add a line to the audit log, whose oldest goes when it is full."""
        entry = Entry(time.time(), who, what, device, detail)
        await self._publish("relay.audit.line", json.dumps(entry).encode())

    async def audit(self, most: int) -> list[Entry]:
        """The last lines, newest first."""
        state = (await self._patiently(lambda: self._js.stream_info(AUDIT))).state
        found: list[Entry] = []
        first = max(state.first_seq, state.last_seq - most + 1)
        for number in range(state.last_seq, first - 1, -1):
            try:
                message = await self._patiently(partial(self._js.get_msg, AUDIT, number))
            except NotFoundError:
                continue
            found.append(Entry(*json.loads(message.data or b"")))
        return found

    # Groups of devices

    async def set_groups(self, device: str, groups: Iterable[str]) -> None:
        """Say to which groups a device belongs."""
        await self._set("groups." + encoded(device), list(groups))

    async def groups(self) -> dict[str, list[str]]:
        """The groups of each device that is in one."""
        return {decoded(name): groups for (name,), groups, _ in self._rows("groups") if groups}

    # Last states

    async def keep_states(self, states: Iterable[tuple[str, float, float, str]]) -> None:
        """Keep states: (device, booted, seen, JSON) each."""
        await self._many(
            self._replace(STATES, device, f"{booted!r} {seen!r} {state}".encode())
            for device, booted, seen, state in states
        )

    async def states(self) -> list[tuple[str, float, float, str]]:
        """The states that were kept."""
        return [
            (decoded(key), *state_of(value)) for key, (value, _) in self.last_states.values.items()
        ]

    async def remove_device(self, device: str) -> None:
        """Forget all that is known of a device, but not that it has tokens."""
        name = encoded(device)
        await self._delete(self.last_states, STATES, name)
        await self._patiently(
            lambda: self._js.purge_stream(HISTORY, subject=f"relay.history.{name}.>")
        )
        await self._unset("groups." + name)

    # Commands that wait: the key has the device, and the revision is the number

    def _command_added(self, key: str, value: bytes, revision: int) -> None:
        request, who, expires = json.loads(value)
        waiting = Waiting(revision, decoded(key.split(".")[0]), request, who, expires)
        self._commands[key] = waiting
        self.queues.add(waiting)

    def _command_gone(self, key: str) -> None:
        waiting = self._commands.pop(key, None)
        if waiting is not None:
            self.queues.remove(waiting.device, waiting.number)

    async def add_waiting(self, device: str, request: str, who: str, expires: float) -> Waiting:
        """Keep a command; its number is larger than that of all before it."""
        key = f"{encoded(device)}.{secrets.token_hex(8)}"
        value = json.dumps([request, who, expires]).encode()
        number = await self._put(self._waiting, WAITING, key, value)
        return Waiting(number, device, request, who, expires)

    async def still_waits(self, waiting: Waiting) -> bool:
        """Whether a command is not ended, by whomever; one that is leaves the queue."""
        # By the stream's leader: what this relay has heard may be late.
        try:
            await self._patiently(lambda: self._js.get_msg("KV_" + WAITING, waiting.number))
        except NotFoundError:
            self.queues.remove(waiting.device, waiting.number)
            return False
        return True

    async def remove_waiting(self, waiting: Waiting) -> None:
        """End a command, if it waits."""
        for key, each in self._commands.items():
            if each.number == waiting.number:
                await self._delete(self._waiting, WAITING, key)
                return

    # History

    async def add_samples(self, samples: Iterable[tuple[str, str, float, float]]) -> None:
        """Keep values: (device, key, time, value) each."""
        await self._many(
            self._publish(
                f"relay.history.{encoded(device)}.{encoded(key)}", f"{at!r} {value!r}".encode()
            )
            for device, key, at, value in samples
        )

    async def _samples(
        self, device: str, key: str, since: float, until: float
    ) -> AsyncGenerator[tuple[float, float], None]:
        # The servers know when each was written, which is later than its own time.
        try:
            begin = datetime.fromtimestamp(max(0.0, since - 60), UTC)
        except (ValueError, OverflowError, OSError):
            return
        subscription = await self._patiently(
            lambda: self._js.subscribe(
                f"relay.history.{encoded(device)}.{encoded(key)}",
                stream=HISTORY,
                ordered_consumer=True,
                config=ConsumerConfig(
                    deliver_policy=DeliverPolicy.BY_START_TIME, opt_start_time=begin
                ),
            )
        )
        try:
            about = await subscription.consumer_info()
            if not about.num_pending and not about.delivered.consumer_seq:  # type: ignore[union-attr]
                return
            while True:
                message = await subscription.next_msg(TIMEOUT)
                at, value = map(float, message.data.split())
                if at >= until:
                    return
                if at >= since:
                    yield at, value
                if not message.metadata.num_pending:
                    return
        except (NatsError, TimeoutError) as error:
            raise self._fails(error) from error
        finally:
            with contextlib.suppress(NatsError, OSError):
                await subscription.unsubscribe()

    async def samples(
        self, device: str, key: str, since: float, until: float, most: int
    ) -> list[tuple[float, float]]:
        """(time, value) of the first samples from `since` to before `until`."""
        found: list[tuple[float, float]] = []
        async with contextlib.aclosing(self._samples(device, key, since, until)) as samples:
            async for sample in samples:
                found.append(sample)
                if len(found) >= most:
                    break
        return found

    async def means(
        self, device: str, key: str, since: float, until: float, step: float
    ) -> list[tuple[int, float]]:
        """(number, mean) of each step of so many seconds from `since` that has samples."""
        sums: dict[int, tuple[float, int]] = {}
        async with contextlib.aclosing(self._samples(device, key, since, until)) as samples:
            async for at, value in samples:
                number = int((at - since) / step)
                total, count = sums.get(number, (0.0, 0))
                sums[number] = total + value, count + 1
        return [(number, total / count) for number, (total, count) in sorted(sums.items())]

    async def sampled(self, device: str) -> list[str]:
        """The keys of a device that have a history."""
        subjects = f"relay.history.{encoded(device)}.>"
        about = await self._patiently(lambda: self._js.stream_info(HISTORY, subjects))
        return sorted(decoded(each.rpartition(".")[2]) for each in about.state.subjects or {})

    async def trim_samples(self, before: float, most: int) -> int:
        """Nothing: the stream's own limit does that."""
        return 0

    # Alerts: a rule's number is the revision that it has been written with

    async def add_alert(self, rule: str) -> int:
        """Keep a rule; says its number."""
        return await self._set("alert." + secrets.token_hex(8), rule)

    async def alerts(self) -> dict[int, str]:
        """The rules by their numbers."""
        return {revision: rule for _, rule, revision in self._rows("alert")}

    async def remove_alert(self, number: int) -> bool:
        """End a rule; says whether there was one."""
        for key, _, _ in self._rows("firing"):
            if key[0] == str(number):
                await self._unset("firing." + ".".join(key))
        for key, _, revision in self._rows("alert"):
            if revision == number:
                return await self._unset("alert." + ".".join(key))
        return False

    async def set_firing(self, alert: int, device: str, since: float | None) -> None:
        """Note that an alert fires for a device since then, or does no more."""
        key = f"firing.{alert}.{encoded(device)}"
        if since is None:
            await self._unset(key)
        else:
            await self._set(key, since)

    async def firing(self) -> list[tuple[int, str, float]]:
        """The alerts that fire: (number, device, since)."""
        return [
            (int(alert), decoded(name), since) for (alert, name), since, _ in self._rows("firing")
        ]

    # Who is connected where

    async def set_presence(self, device: str, value: bytes) -> int:
        """Say where a device is connected; gives the revision."""
        return await self._replace(PRESENCE, device, value)

    async def clear_presence(self, device: str, revision: int) -> None:
        """Say that a device isn't connected there any more, unless another has taken over."""
        headers = {
            "KV-Operation": "DEL",
            "Nats-Expected-Last-Subject-Sequence": str(revision),
        }
        key = encoded(device)
        try:
            await self._patiently(
                lambda: self._js.publish(f"$KV.{PRESENCE}.{key}", headers=dict(headers))
            )
        except BadRequestError as error:
            if error.err_code not in _WRONG_SEQUENCE:
                raise self._fails(error) from error


def state_of(value: bytes) -> tuple[float, float, str]:
    """(booted, seen, JSON) in a value of the bucket of states."""
    booted, seen, state = value.decode().split(" ", 2)
    return float(booted), float(seen), state


def _about(grant: Grant) -> dict[str, Any]:
    return {"devices": grant.devices, "verbs": grant.verbs}


def _grant(who: str, about: dict[str, Any]) -> Grant:
    devices, verbs = tuple(about["devices"]), tuple(about["verbs"])
    return Grant(who, devices, verbs, admin=bool(about.get("admin")))
