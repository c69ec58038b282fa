"""What the host board adds to the interpreter: hostio, SIGTERM, frozen native code."""

import os
import signal
import subprocess
import tty

import pytest

from common import ROOT


@pytest.fixture(params=["host", "host32"])
def micropython(request):
    """A function that runs a script on the built interpreter and returns the process's output."""
    program = ROOT / "build" / request.param / "micropython"
    if not program.exists():
        pytest.skip(f"make {request.param} has not been run")

    def run(script, *arguments, environment=None):
        command = [program, "-c", script, *arguments]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=60,
            env=dict(os.environ, **(environment or {})),
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    run.program = program
    return run


# A set that could not grow is as it was.
GROW = """
import micropython
numbers = set()
size = 0
while True:
    micropython.heap_lock()
    try:
        numbers.add(size)
    except MemoryError:
        micropython.heap_unlock()
        if not size:
            numbers.add(size)
            size = 1
            continue
        break
    micropython.heap_unlock()
    size += 1
print(sorted(numbers) == list(range(size)))
numbers.update(range(1000))
print(sorted(numbers) == list(range(1000)))
"""


def test_a_set_that_could_not_grow_is_whole(micropython):
    assert micropython(GROW) == ["True", "True"]


# A module that could not be imported can be later.
IMPORT = """
import micropython, sys
sys.path[:] = [".frozen"]
failed = 0
micropython.heap_lock()
try:
    import utf8
except MemoryError:
    failed = 1
micropython.heap_unlock()
print(failed, "utf8" in sys.modules)
import utf8
print(utf8.is_utf8(b"x"))
"""


def test_a_module_that_could_not_be_made_leaves_nothing(micropython):
    assert micropython(IMPORT) == ["1 False", "True"]


# Neither takes a descriptor that nothing holds.
DESCRIPTORS = """
import hostio, micropython, os, socket
listener = socket.socket()
listener.bind(socket.getaddrinfo("127.0.0.1", 0)[0][-1])
listener.listen(1)
listener.setblocking(False)
client = socket.socket()
port = hostio.local_port(listener.fileno())
client.connect(socket.getaddrinfo("127.0.0.1", port)[0][-1])
before = sorted(os.listdir("/proc/self/fd"))
accept, outcome = listener.accept, []
micropython.heap_lock()
try:
    accept()
except MemoryError:
    pass
try:
    socket.socket()
except MemoryError:
    pass
micropython.heap_unlock()
print(before == sorted(os.listdir("/proc/self/fd")))
accepted, peer = accept()
print(len(os.listdir("/proc/self/fd")) - len(before))
"""


def test_no_descriptor_is_lost_without_memory(micropython):
    assert micropython(DESCRIPTORS) == ["True", "1"]


# What is registered without the memory for it is not polled, and can be registered afterwards.
REGISTER = """
import micropython, select, socket
poll = select.poll()
listener = socket.socket()
listener.bind(socket.getaddrinfo("127.0.0.1", 0)[0][-1])
listener.listen(1)
micropython.heap_lock()
try:
    poll.register(listener, select.POLLIN)
    outcome = "registered"
except MemoryError:
    outcome = "refused"
micropython.heap_unlock()
print(outcome, poll.poll(0))
try:
    poll.register(object(), select.POLLIN)
except OSError:
    print("not pollable", poll.poll(0))
poll.register(listener, select.POLLIN)
print(poll.poll(0))
"""


def test_what_poll_could_not_register_is_not_polled(micropython):
    assert micropython(REGISTER) == ["refused []", "not pollable []", "[]"]


OPEN = "import hostio, os, sys\nfd, path = hostio.openpty()\nmaster = open(fd, 'r+b')\n"


def test_a_pty_without_a_terminal_program_has_nothing_to_read(micropython):
    assert micropython(OPEN + "print(master.read(1), master.read(1))") == ["None None"]


def test_a_pty_carries_every_byte_both_ways(micropython):
    script = (
        OPEN
        + """
import select
print(path)
sys.stdin.readline()
poll = select.poll()
poll.register(master, select.POLLIN)
got = b""
while len(got) < 256:
    poll.ipoll(10000).__next__()
    got += master.read(256 - len(got))
print(got == bytes(range(256)), master.write(bytes(reversed(got))))
sys.stdin.readline()
"""
    )
    process = subprocess.Popen(
        [micropython.program, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with process:
        slave = os.open(process.stdout.readline().decode().strip(), os.O_RDWR | os.O_NOCTTY)
        os.write(slave, bytes(range(256)))
        process.stdin.write(b"\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"True 256\n"
        got = b""
        while len(got) < 256:
            got += os.read(slave, 256)
        assert got == bytes(reversed(range(256)))
        os.close(slave)
        process.stdin.write(b"\n")
        process.stdin.flush()
        assert process.wait(timeout=60) == 0


def test_a_pty_is_raw(micropython):
    script = OPEN + "print(path)\nsys.stdin.readline()"
    process = subprocess.Popen(
        [micropython.program, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with process:
        slave = os.open(process.stdout.readline().decode().strip(), os.O_RDWR | os.O_NOCTTY)
        mode = tty.tcgetattr(slave)
        os.close(slave)
        process.stdin.write(b"\n")
    assert not mode[tty.LFLAG] & (tty.ECHO | tty.ICANON | tty.ISIG)
    assert not mode[tty.IFLAG] & (tty.ICRNL | tty.IXON)
    assert not mode[tty.OFLAG] & tty.OPOST


def test_ptys_that_are_closed_leave_no_descriptor(micropython):
    script = """
import hostio, os
def descriptors():
    return len(os.listdir("/proc/self/fd"))
open(hostio.openpty()[0]).close()
before = descriptors()
for _ in range(100):
    open(hostio.openpty()[0]).close()
print(descriptors() == before)
"""
    assert micropython(script) == ["True"]


def test_too_many_ptys(micropython):
    script = """
import hostio
count = 0
try:
    while True:
        hostio.openpty()
        count += 1
except OSError as error:
    print(count, error.errno)
"""
    assert micropython(script) == ["16 24"]


def test_restart_runs_the_same_program_with_the_same_arguments_and_no_files(micropython):
    script = """
import hostio, os, sys
print(os.getenv("ROUND"), sys.argv, len(os.listdir("/proc/self/fd")))
if os.getenv("ROUND") == "1":
    os.putenv("ROUND", "2")
    kept = [open("/dev/null") for _ in range(5)] + [hostio.openpty()]
    hostio.restart()
"""
    first, second = micropython(script, "a", "", "b c", environment={"ROUND": "1"})
    assert first.startswith("1 ['-c', 'a', '', 'b c'] ")
    assert second == "2" + first[1:]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_a_keyboard_interrupt(micropython, number):
    script = """
import asyncio
async def wait():
    print("waiting")
    await asyncio.sleep(1000)
try:
    asyncio.run(wait())
except KeyboardInterrupt:
    print("interrupted")
"""
    process = subprocess.Popen([micropython.program, "-c", script], stdout=subprocess.PIPE)
    with process:
        assert process.stdout.readline() == b"waiting\n"
        process.send_signal(number)
        assert process.stdout.read() == b"interrupted\n"
    assert process.returncode == 0


def test_which_version_this_is(micropython):
    script = "import build_info, sys\nprint(build_info.MICROPYTHON)\nprint(sys.version)"
    release, version = micropython(script)
    assert f"MicroPython v{release} on " in version


def test_a_module_of_the_user_overrides_machine(micropython, tmp_path):
    (tmp_path / "machine.py").write_text("ADDED = 1\n")
    script = f"import sys\nsys.path[:] = ['{tmp_path}']\nimport machine\nprint(machine.ADDED)"
    assert micropython(script) == ["1"]


def test_native_code_is_compiled_at_run_time(micropython):
    script = """
@micropython.viper
def add(a: int, b: int) -> int:
    return a + b
print(add(2, 3))
"""
    assert micropython(script) == ["5"]
