"""Integration tests may be `async def`, and may run scripts on the image's interpreter."""

import asyncio
import inspect

import pytest

from support import Script

# Ends a test that waits for something that never comes.
TEST_DEADLINE = 120


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    """Run a coroutine test on an event loop of its own."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}

    async def run():
        async with asyncio.timeout(TEST_DEADLINE):
            await pyfuncitem.obj(**arguments)

    asyncio.run(run())
    return True


@pytest.fixture
def micropython(tmp_path):
    """A function that starts a script (its text) on build/host/micropython: a support.Script."""
    scripts = []

    def run(text, *args, **options):
        number = len(scripts)
        path = tmp_path / f"script{number}.py"
        path.write_text(text)
        script = Script(path, tmp_path / f"script{number}.log", args, **options)
        scripts.append(script)
        script.spawn()
        return script

    yield run
    for script in scripts:
        script.kill()
