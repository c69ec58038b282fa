"""Which of the relay's tests run on both of its storages."""

import asyncio

import pytest

import nats_servers
import relays

# Of the others, each is about one of the two.
BOTH = ("passing", "requests", "api", "deliveries", "access", "load")


def pytest_generate_tests(metafunc):
    name = metafunc.module.__name__.removeprefix("test_relay_")
    if name in BOTH and metafunc.definition.get_closest_marker("sqlite") is None:
        metafunc.parametrize("backend", ["sqlite", "nats"], indirect=True)


@pytest.fixture(scope="session")
def nats_server():
    """A server of this process' tests."""
    with nats_servers.one_server() as server:
        yield server


@pytest.fixture(autouse=True)
def backend(request):
    """What the relays of a test keep all in: databases in their folders, or a server of NATS."""
    if getattr(request, "param", "sqlite") == "sqlite":
        yield "sqlite"
        return
    server = request.getfixturevalue("nats_server")
    asyncio.run(nats_servers.clear(server.url))
    relays.NATS[:] = [server.url]
    yield "nats"
    relays.NATS.clear()
