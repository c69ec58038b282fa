"""What the relay keeps: who may what, what waits for devices, what they have told. In SQLite.

Everything here waits for the disk; storage.py has a thread do it.
"""

import contextlib
import json
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from relay.grants import Grant

FILE = "relay.sqlite3"

# Each step leads to the version after it; a database says in user_version which it has.
MIGRATIONS = (
    """
    CREATE TABLE device_token (
        hash TEXT PRIMARY KEY, device TEXT NOT NULL, made REAL NOT NULL
    );
    CREATE INDEX device_token_device ON device_token (device);
    CREATE TABLE page_token (
        hash TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, devices TEXT NOT NULL,
        verbs TEXT NOT NULL, made REAL NOT NULL, expires REAL
    );
    CREATE TABLE user (
        name TEXT PRIMARY KEY, password TEXT NOT NULL, devices TEXT NOT NULL,
        verbs TEXT NOT NULL, admin INTEGER NOT NULL, made REAL NOT NULL
    );
    CREATE TABLE secret (name TEXT PRIMARY KEY, value BLOB NOT NULL);
    CREATE TABLE device (name TEXT PRIMARY KEY, groups TEXT NOT NULL);
    CREATE TABLE audit (
        number INTEGER PRIMARY KEY, time REAL NOT NULL, who TEXT NOT NULL, what TEXT NOT NULL,
        device TEXT, detail TEXT
    );
    CREATE TABLE waiting (
        number INTEGER PRIMARY KEY AUTOINCREMENT, device TEXT NOT NULL, request TEXT NOT NULL,
        who TEXT NOT NULL, expires REAL NOT NULL
    );
    CREATE INDEX waiting_device ON waiting (device, number);
    CREATE TABLE sample (
        device TEXT NOT NULL, key TEXT NOT NULL, time REAL NOT NULL, value REAL NOT NULL,
        PRIMARY KEY (device, key, time)
    ) WITHOUT ROWID;
    CREATE INDEX sample_time ON sample (time);
    CREATE TABLE alert (
        number INTEGER PRIMARY KEY AUTOINCREMENT, rule TEXT NOT NULL
    );
    CREATE TABLE firing (
        alert INTEGER NOT NULL, device TEXT NOT NULL, since REAL NOT NULL,
        PRIMARY KEY (alert, device)
    );
    CREATE TABLE state (
        device TEXT PRIMARY KEY, booted REAL NOT NULL, seen REAL NOT NULL, state TEXT NOT NULL
    );
    """,
)

# Lines of the audit log that are kept.
AUDIT_MAX = 100_000


class StoreError(Exception):
    """What the relay keeps can't be read or written; the text says where and why."""


class Waiting(NamedTuple):
    """A command that waits for a device."""

    number: int
    device: str
    request: str
    who: str
    expires: float


class Entry(NamedTuple):
    """A line of the audit log: who did what, when (seconds since 1970), to which device."""

    time: float
    who: str
    what: str
    device: str | None
    detail: str | None


class Store:
    """The database of a folder, which is made where there is none.

    Args:
        folder: where it is.
        most: bytes that it may have.

    Raises:
        StoreError: it can't be opened.
    """

    def __init__(self, folder: Path, most: int = 1 << 40) -> None:
        self.path = folder / FILE
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._db = sqlite3.connect(self.path, check_same_thread=False, isolation_level=None)
            self.path.chmod(0o600)
            # A reader beside a writer; what was committed is on the disk.
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.execute("PRAGMA busy_timeout=5000")
            (page,) = self._db.execute("PRAGMA page_size").fetchone()
            self._db.execute(f"PRAGMA max_page_count={most // page}")
            self._migrate()
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"{self.path} can't be used: {error}") from error

    def _migrate(self) -> None:
        with self._change():
            (version,) = self._db.execute("PRAGMA user_version").fetchone()
            if version > len(MIGRATIONS):
                raise StoreError(f"{self.path} is of a later version of the relay")
            for number in range(version, len(MIGRATIONS)):
                for statement in MIGRATIONS[number].split(";"):
                    self._db.execute(statement)
                self._db.execute(f"PRAGMA user_version={number + 1}")

    def close(self) -> None:
        """End."""
        self._db.close()

    @contextlib.contextmanager
    def _change(self) -> Iterator[None]:
        # All of it or nothing.
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def version(self) -> int:
        """A number that changes when another process has changed something."""
        found: int = self._db.execute("PRAGMA data_version").fetchone()[0]
        return found

    def backup(self, path: Path) -> None:
        """Write a copy of everything to a new file, also while the relay runs.

        Raises:
            StoreError: it can't be written.
        """
        try:
            with open(path, "xb"):
                path.chmod(0o600)
            with contextlib.closing(sqlite3.connect(path)) as copy:
                self._db.backup(copy)
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"{path} can't be written: {error}") from error

    # Secrets

    def secret(self, name: str, make: Callable[[], bytes]) -> bytes:
        """The secret of a name, made the first time."""
        with self._change():
            self._db.execute("INSERT OR IGNORE INTO secret VALUES (?, ?)", (name, make()))
            found: bytes = self._db.execute(
                "SELECT value FROM secret WHERE name = ?", (name,)
            ).fetchone()[0]
        return found

    # Tokens of devices, by their SHA-256

    def add_device_token(self, device: str, digest: str) -> None:
        """Let a device in by a token; the others stay, until this one is used."""
        with self._change():
            self._db.execute(
                "INSERT INTO device_token VALUES (?, ?, ?)", (digest, device, time.time())
            )

    def device_tokens(self) -> dict[str, set[str]]:
        """The tokens of each device that has one."""
        found: dict[str, set[str]] = {}
        for digest, device in self._db.execute("SELECT hash, device FROM device_token"):
            found.setdefault(device, set()).add(digest)
        return found

    def device_token_used(self, device: str, digest: str) -> bool:
        """Note that a token was used: those made before it end. Says whether there were any."""
        with self._change():
            done = self._db.execute(
                "DELETE FROM device_token WHERE device = ?1 AND hash != ?2 AND made <= "
                "(SELECT made FROM device_token WHERE hash = ?2)",
                (device, digest),
            )
        return done.rowcount > 0

    def revoke_device(self, device: str) -> int:
        """End a device's tokens; says how many. It needs a new one from now on."""
        with self._change():
            done = self._db.execute(
                "UPDATE OR IGNORE device_token SET hash = 'revoked ' || hash WHERE device = ? "
                "AND hash NOT LIKE 'revoked %'",
                (device,),
            )
        return done.rowcount

    # Users and tokens of pages

    def set_user(self, grant: Grant, password: str) -> None:
        """Make a user, or change one; `password` is a hash."""
        with self._change():
            self._db.execute(
                "INSERT OR REPLACE INTO user VALUES (?, ?, ?, ?, ?, ?)",
                (grant.who, password, *_texts(grant), grant.admin, time.time()),
            )

    def users(self) -> dict[str, tuple[str, Grant]]:
        """The password's hash and the grant of each user."""
        rows = self._db.execute("SELECT name, password, devices, verbs, admin FROM user")
        return {
            name: (password, Grant(name, *_tuples(devices, verbs), admin=bool(admin)))
            for name, password, devices, verbs, admin in rows
        }

    def remove_user(self, name: str) -> bool:
        """End a user; says whether there was one."""
        with self._change():
            done = self._db.execute("DELETE FROM user WHERE name = ?", (name,))
        return done.rowcount > 0

    def add_page_token(self, grant: Grant, digest: str, expires: float | None) -> None:
        """Let pages and scripts in by a token.

        Raises:
            ValueError: there is one of this name.
        """
        try:
            with self._change():
                self._db.execute(
                    "INSERT INTO page_token VALUES (?, ?, ?, ?, ?, ?)",
                    (digest, grant.who, *_texts(grant), time.time(), expires),
                )
        except sqlite3.IntegrityError:
            raise ValueError(f"there is a token {grant.who} already") from None

    def page_tokens(self) -> dict[str, tuple[Grant, float | None]]:
        """The grant and the end of each token, by its SHA-256."""
        rows = self._db.execute("SELECT hash, name, devices, verbs, expires FROM page_token")
        return {
            digest: (Grant(name, *_tuples(devices, verbs)), expires)
            for digest, name, devices, verbs, expires in rows
        }

    def remove_page_token(self, name: str) -> bool:
        """End a page token; says whether there was one."""
        with self._change():
            done = self._db.execute("DELETE FROM page_token WHERE name = ?", (name,))
        return done.rowcount > 0

    # Audit log

    def note(self, who: str, what: str, device: str | None = None, detail: str = "") -> None:
        """Add a line to the audit log, whose oldest goes when it is full."""
        with self._change():
            done = self._db.execute(
                "INSERT INTO audit (time, who, what, device, detail) VALUES (?, ?, ?, ?, ?)",
                (time.time(), who, what, device, detail),
            )
            last = done.lastrowid or 0
            self._db.execute("DELETE FROM audit WHERE number <= ?", (last - AUDIT_MAX,))

    def audit(self, most: int) -> list[Entry]:
        """The last lines, newest first."""
        rows = self._db.execute(
            "SELECT time, who, what, device, detail FROM audit ORDER BY number DESC LIMIT ?",
            (most,),
        )
        return [Entry(*row) for row in rows]

    # Groups of devices

    def set_groups(self, device: str, groups: Iterable[str]) -> None:
        """Say to which groups a device belongs."""
        with self._change():
            self._db.execute(
                "INSERT OR REPLACE INTO device VALUES (?, ?)", (device, json.dumps(list(groups)))
            )

    def groups(self) -> dict[str, list[str]]:
        """The groups of each device that is in one."""
        rows = self._db.execute("SELECT name, groups FROM device")
        return {name: groups for name, text in rows if (groups := json.loads(text))}

    # Last states

    def keep_states(self, states: Iterable[tuple[str, float, float, str]]) -> None:
        """Keep states: (device, booted, seen, JSON) each."""
        with self._change():
            self._db.executemany("INSERT OR REPLACE INTO state VALUES (?, ?, ?, ?)", states)

    def states(self) -> list[tuple[str, float, float, str]]:
        """The states that were kept."""
        return self._db.execute("SELECT device, booted, seen, state FROM state").fetchall()

    def remove_device(self, device: str) -> None:
        """Forget all that is known of a device, but not that it has tokens."""
        with self._change():
            for table, column in (("state", "device"), ("sample", "device"), ("device", "name")):
                self._db.execute(f"DELETE FROM {table} WHERE {column} = ?", (device,))

    # Commands that wait for their device

    def add_waiting(self, device: str, request: str, who: str, expires: float) -> int:
        """Keep a command; its number is larger than that of all before it."""
        with self._change():
            done = self._db.execute(
                "INSERT INTO waiting (device, request, who, expires) VALUES (?, ?, ?, ?)",
                (device, request, who, expires),
            )
        return done.lastrowid or 0

    def waiting(self) -> list[Waiting]:
        """All commands that wait, in their order."""
        rows = self._db.execute(
            "SELECT number, device, request, who, expires FROM waiting ORDER BY number"
        )
        return [Waiting(*row) for row in rows]

    def remove_waiting(self, number: int) -> bool:
        """End a command; says whether there was one."""
        with self._change():
            done = self._db.execute("DELETE FROM waiting WHERE number = ?", (number,))
        return done.rowcount > 0

    # History

    def add_samples(self, samples: Iterable[tuple[str, str, float, float]]) -> None:
        """Keep values: (device, key, time, value) each."""
        with self._change():
            self._db.executemany("INSERT OR REPLACE INTO sample VALUES (?, ?, ?, ?)", samples)

    def samples(
        self, device: str, key: str, since: float, until: float, most: int
    ) -> list[tuple[float, float]]:
        """(time, value) of the first samples from `since` to before `until`."""
        return self._db.execute(
            "SELECT time, value FROM sample WHERE device = ? AND key = ? AND time >= ? "
            "AND time < ? ORDER BY time LIMIT ?",
            (device, key, since, until, most),
        ).fetchall()

    def means(
        self, device: str, key: str, since: float, until: float, step: float
    ) -> list[tuple[int, float]]:
        """(number, mean) of each step of so many seconds from `since` that has samples."""
        return self._db.execute(
            "SELECT CAST((time - ?3) / ?5 AS INTEGER) AS step, AVG(value) FROM sample "
            "WHERE device = ?1 AND key = ?2 AND time >= ?3 AND time < ?4 GROUP BY step "
            "ORDER BY step",
            (device, key, since, until, step),
        ).fetchall()

    def sampled(self, device: str) -> list[str]:
        """The keys of a device that have a history."""
        # One step of the index for each key, not one for each sample.
        rows = self._db.execute(
            "WITH RECURSIVE found(key) AS ("
            "SELECT MIN(key) FROM sample WHERE device = ?1 UNION ALL "
            "SELECT (SELECT MIN(key) FROM sample WHERE device = ?1 AND key > found.key) "
            "FROM found WHERE found.key IS NOT NULL) SELECT key FROM found WHERE key IS NOT NULL",
            (device,),
        )
        return [key for (key,) in rows]

    def trim_samples(self, before: float, most: int) -> int:
        """Delete samples from before a time, so many at most; says how many."""
        with self._change():
            done = self._db.execute(
                "DELETE FROM sample WHERE (device, key, time) IN "
                "(SELECT device, key, time FROM sample WHERE time < ? LIMIT ?)",
                (before, most),
            )
        return done.rowcount

    # Alerts

    def add_alert(self, rule: str) -> int:
        """Keep a rule; says its number."""
        with self._change():
            done = self._db.execute("INSERT INTO alert (rule) VALUES (?)", (rule,))
        return done.lastrowid or 0

    def alerts(self) -> dict[int, str]:
        """The rules by their numbers."""
        return dict(self._db.execute("SELECT number, rule FROM alert ORDER BY number"))

    def remove_alert(self, number: int) -> bool:
        """End a rule; says whether there was one."""
        with self._change():
            self._db.execute("DELETE FROM firing WHERE alert = ?", (number,))
            done = self._db.execute("DELETE FROM alert WHERE number = ?", (number,))
        return done.rowcount > 0

    def set_firing(self, alert: int, device: str, since: float | None) -> None:
        """Note that an alert fires for a device since then, or does no more."""
        with self._change():
            if since is None:
                self._db.execute(
                    "DELETE FROM firing WHERE alert = ? AND device = ?", (alert, device)
                )
            else:
                self._db.execute(
                    "INSERT OR REPLACE INTO firing VALUES (?, ?, ?)", (alert, device, since)
                )

    def firing(self) -> list[tuple[int, str, float]]:
        """The alerts that fire: (number, device, since)."""
        return self._db.execute("SELECT alert, device, since FROM firing").fetchall()


def _texts(grant: Grant) -> tuple[str, str]:
    return json.dumps(grant.devices), json.dumps(grant.verbs)


def _tuples(devices: str, verbs: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return tuple(json.loads(devices)), tuple(json.loads(verbs))
