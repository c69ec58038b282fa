"""Integration tests may run scripts on the image's interpreter."""

import pytest

from support import Script


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
