#!/usr/bin/env python3
"""A stand-in for ESP-IDF's idf.py, put on the path under that name by test_firmware.py.

It notes in $FAKE_RECORD how it was called and writes files of the form that a build leaves, with
an app of $FAKE_APP_SIZE bytes, after it has done what $FAKE_BEHAVIOUR says, which is Python.
"""

import json
import os
import sys
from pathlib import Path

MAP = """\
Archive member included to satisfy reference by file (symbol)

esp-idf/main/libmain.a(frozen_content.c.obj)
                              (mp_frozen_names)
esp-idf/mdns/libespressif__mdns.a(mdns.c.obj)
                              esp-idf/main/libmain.a(network_wlan.c.obj) (mdns_init)

Linker script and memory map

 .rodata.mp_frozen_names
                0x000000003f401000      0x100 esp-idf/main/libmain.a(frozen_content.c.obj)
 .text.one      0x00000000400d2000       0x20 esp-idf/main/libmain.a(frozen_content.c.obj)
"""


def component(folder, archive, managed=()):
    """A component as the build describes it."""
    return {
        "type": "LIBRARY",
        "dir": str(folder),
        "file": str(objects / archive),
        "reqs": [],
        "priv_reqs": [],
        "managed_reqs": list(managed),
        "managed_priv_reqs": [],
        "sources": [],
        "include_dirs": [],
    }


if sys.argv[1:] == ["--version"]:
    print("ESP-IDF", os.environ["FAKE_VERSION"])
    sys.exit()
objects = Path(sys.argv[sys.argv.index("-B") + 1])
idf = Path(os.environ["IDF_PATH"])
print("building in", objects)
names = ("MICROPY_GIT_TAG", "MICROPY_GIT_HASH", "SOURCE_DATE_EPOCH", "BUILD", "MAKEFLAGS")
seen = {name: os.environ.get(name) for name in names}
Path(os.environ["FAKE_RECORD"]).write_text(json.dumps([sys.argv[1:], seen]))
exec(os.environ["FAKE_BEHAVIOUR"])

mdns = idf / "managed_components" / "espressif__mdns"
parts = {
    "0x1000": "bootloader/bootloader.bin",
    "0x8000": "partition_table/partition-table.bin",
    "0x10000": "micropython.bin",
}
description = {
    "version": "1.3",
    "project_name": "micropython",
    "project_version": "v1.28.0",
    "project_path": str(idf / "project"),
    "idf_path": str(idf),
    "build_dir": str(objects),
    "app_elf": "micropython.elf",
    "app_bin": "micropython.bin",
    "git_revision": os.environ["FAKE_VERSION"],
    "target": "esp32",
    "c_compiler": "/opt/xtensa-esp32-elf-gcc",
    "build_component_info": {
        "main": component(idf / "project", "esp-idf/main/libmain.a", ["espressif__mdns"]),
        "espressif__mdns": component(mdns, "esp-idf/mdns/libespressif__mdns.a"),
        "unused": component(idf / "components" / "unused", "esp-idf/unused/libunused.a"),
    },
}
FILES = {
    objects / parts["0x1000"]: "B" * 20000,
    objects / parts["0x8000"]: "P" * 3072,
    objects / parts["0x10000"]: "A" * int(os.environ.get("FAKE_APP_SIZE", "100000")),
    objects / "micropython.elf": "ELF",
    objects / "micropython.map": MAP,
    objects / "flasher_args.json": json.dumps({"flash_files": parts}),
    objects / "config" / "sdkconfig.json": "{}",
    objects / "project_description.json": json.dumps(description),
    mdns / "idf_component.yml": "version: 1.1.0\nurl: https://example.com/mdns\n",
}
for path, text in FILES.items():
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
