"""Integration tests may run scripts on the image's interpreter."""

import pytest

import support
from support import ROOT, Script

# Modules whose tests run once more on the build that ends at the first access out of bounds.
SANITIZED = ("test_http_hostile", "test_websocket_hostile", "test_fuzz")


def pytest_generate_tests(metafunc):
    if metafunc.module.__name__ in SANITIZED:
        metafunc.parametrize("build", ["host", "host-sanitized"], indirect=True, scope="module")


@pytest.fixture(scope="module", autouse=True)
def build(request):
    """The folder in build/ whose image the tests of a module run."""
    name = getattr(request, "param", "host")
    if not (ROOT / "build" / name / "micropython").exists():
        pytest.skip(f'run "make {name}" first')
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(support, "BUILD", name)
        yield name


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
