"""docs/relay.md says what there is."""

import argparse
import re
from dataclasses import fields

from relay import names, orders
from relay.config import Config, _shown
from support import ROOT

TEXT = (ROOT / "docs" / "relay.md").read_text()


def test_every_setting_is_in_the_table():
    rows = re.findall(r"^\| `(\w+)` \| `?([^|`]*)`? \| (.*) \|$", TEXT, re.MULTILINE)
    settings = [
        (each.name, _shown(each.default), each.metadata["help"]) for each in fields(Config)
    ]
    assert [row for row in rows if row[0] in Config.__dataclass_fields__] == settings


def test_every_order_is_in_the_table():
    parser = argparse.ArgumentParser()
    orders.add_orders(parser)
    (action,) = (each for each in parser._actions if isinstance(each.choices, dict))
    section = TEXT[TEXT.index("| Order |") : TEXT.index("make relay ARGS=")]
    for order in action.choices:
        assert re.search(rf"`{order}[` ]", section), order


def test_the_names_that_no_device_has_are_listed():
    for name in names.RESERVED:
        assert f"`{name}`" in TEXT
