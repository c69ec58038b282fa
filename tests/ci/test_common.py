"""How every step of the build ends."""

import sys

import pytest
from programs import run

from common import ROOT

PROGRAM = """
import sys
sys.path.insert(0, {folder!r})
from common import BuildError, main

def step():
    raise {error}

main(step)
"""


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        ('BuildError("cause, then what to do")', 1, "error: cause, then what to do\n"),
        ("KeyboardInterrupt", 130, "interrupted\n"),
    ],
)
def test_the_person_at_the_terminal_gets_text_and_not_a_traceback(error, code, text):
    program = PROGRAM.format(folder=str(ROOT / "ci"), error=error)
    done = run([sys.executable, "-c", program])
    assert (done.returncode, done.stdout, done.stderr) == (code, "", text)
