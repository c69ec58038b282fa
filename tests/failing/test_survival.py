"""Every 50th allocation of a session fails, others every day; `make oom` takes them all."""

import time

import boot
import pytest
from session import SESSIONS, Device
from survive import attempts

from certificates import Authority
from support import ROOT

STEP = 50
OFFSET = int(time.time()) // 86400 % STEP

TEST_DEADLINE = 300


@pytest.fixture(scope="module")
def device(tmp_path_factory):
    if not (ROOT / "build/host-failing/websock").exists():
        pytest.skip('run "make host-failing" first')
    folder = tmp_path_factory.mktemp("device")
    authority = Authority(folder)
    authority.issue("server")
    device = Device(folder, (authority.read("server.pem"), authority.read("server.key")))
    yield device
    device.close()


@pytest.mark.parametrize("session", SESSIONS, ids=lambda session: session.__name__)
@pytest.mark.parametrize("count", [1, 2])
def test_a_session_without_memory(device, session, count):
    survived = list(attempts(device, session, STEP, OFFSET, count))
    assert survived


@pytest.mark.parametrize("count", [1, 2])
def test_a_start_without_memory(tmp_path, count):
    if not (ROOT / "build/host-failing/micropython").exists():
        pytest.skip('run "make host-failing" first')
    allocations, failures = boot.failures(tmp_path, STEP, OFFSET, count)
    assert allocations > 1000 and failures == []
