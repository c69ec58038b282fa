"""The fuzzer of tests/fuzz, as many inputs as fit into a test run; `make fuzz` runs more."""

from support import ROOT

COUNT = 20_000


def test_fuzzed_requests(micropython):
    script = micropython((ROOT / "tests/fuzz/http.py").read_text(), COUNT, 1)
    assert script.wait(timeout=120) == 0, "\n".join(script.lines) + script.log()
    assert f"{COUNT} streams" in script.lines[-1]
