"""Fixtures that start the image, see support.py; and how tests are run: a coroutine on an event
loop of its own, and which go to the same process."""

import asyncio
import inspect
import re

import pytest
from xdist.scheduler import LoadScopeScheduling

from support import ROOT, Image, wait_until

__all__ = ["wait_until"]

# What the tests of these share is dear: a browser, a device that was warmed up, the processor.
TOGETHER = (
    "tests/browser/",
    "tests/failing/",
    "tests/integration/test_bench.py",
    "tests/integration/test_interop.py",
    "tests/integration/test_packages.py",
)

IMAGES = pytest.StashKey[list]()


# Ends a test that waits for something that never comes; a module may have its own.
TEST_DEADLINE = 120


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    """Run a coroutine test on an event loop of its own."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}

    deadline = getattr(pyfuncitem.module, "TEST_DEADLINE", TEST_DEADLINE)

    async def run():
        async with asyncio.timeout(deadline):
            await pyfuncitem.obj(**arguments)

    asyncio.run(run())
    return True


def pytest_collection_finish(session):
    """Say at once what is missing, instead of in every test."""
    if (ROOT / "build/host/websock").exists():
        return
    for item in session.items:
        if {"make_image", "micropython"} & set(getattr(item, "fixturenames", ())):
            pytest.exit('run "make host" first', returncode=2)


class Scheduling(LoadScopeScheduling):
    """Deals tests out to processes one by one, but keeps together those that share something dear.

    That is the interpreter that runs a file of unit tests, the browser, and a benchmark.
    """

    def _split_scope(self, nodeid):
        path, _, name = nodeid.partition("::")
        if path.startswith("tests/unit/"):
            return path + re.search(r"\[\w+\]$", name)[0]
        if path.startswith(TOGETHER):
            return path
        return nodeid


def pytest_xdist_make_scheduler(config, log):
    return Scheduling(config, log)


@pytest.fixture
def make_image(request, tmp_path):
    """A function that starts an image; its options are those of support.Image, and

    data: folder for its filesystem, a fresh one by default
    start: False to leave the start to the test

    An image that still runs at the end of the test is stopped and has to leave cleanly.
    """
    images = request.node.stash.setdefault(IMAGES, [])

    def make(data=None, start=True, **options):
        if options.get("build") == "host32" and not (ROOT / "build/host32/websock").exists():
            pytest.skip('run "make host32" first')
        number = len(images)
        image = Image(
            data or tmp_path / f"device{number}", tmp_path / f"device{number}.log", **options
        )
        images.append(image)
        return image.start() if start else image

    yield make
    try:
        for image in images:
            if image.running:
                image.stop()
    finally:
        for image in images:
            image.kill()


@pytest.fixture
def image(request, make_image):
    """One image. `@pytest.mark.image(...)` gives it options. Only the test may end it."""
    marker = request.node.get_closest_marker("image")
    image = make_image(**(marker.kwargs if marker else {}))
    yield image
    assert image.running or image.ended_by_test, (
        f"the image ended by itself with code {image.process.returncode}"
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Show what each image logged when a test fails."""
    report = yield
    if report.failed:
        for number, image in enumerate(item.stash.get(IMAGES, [])):
            report.sections.append((f"stderr of image {number}", image.log()))
    return report


@pytest.fixture
def make_relay(tmp_path):
    """A function that starts the relay with more arguments, on the same data each time."""
    from relays import Program

    programs = []

    def make(*arguments):
        programs.append(Program(tmp_path / "relay", *arguments))
        return programs[-1]

    yield make
    for program in programs:
        program.kill()
