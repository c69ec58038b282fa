"""What an image is made of: a software bill of materials in CycloneDX's JSON.

Espressif's esp-idf-sbom lists ESP-IDF's components from the description that the build leaves;
MicroPython, the page's libraries and the image itself are added here. Like the image, the document
is the same for the same source and version.

``sbom.py ENVIRONMENT DESCRIPTION OUTPUT`` runs esp-idf-sbom, and installs it before where need be.
It reads the components' folders, so that it runs where they are: in the container, too.
"""

import datetime
import hashlib
import json
import os
import subprocess
import sys
import uuid
from pathlib import Path

import environment
import idf
import image
from common import BUILD, ROOT, BuildError, log_tail, main

# Without the components that weren't linked.
OPTIONS = ("--format", "cyclonedx-json@1.6", "--rem-config", "--rem-unused")

# It would download which CVEs are known not to concern ESP-IDF, which is of use to who looks for
# vulnerabilities, but changes from one day to the next.
VARIABLES = {"SBOM_EXCLUDED_CVES_FILE": os.devnull}


def components(tools, pin, objects, log):
    """ESP-IDF's part of an image in the build folder `objects`, as a CycloneDX document (a dict).

    Raises:
        BuildError: esp-idf-sbom fails, or finds another ESP-IDF than the pinned one.
    """
    output = objects / "sbom.json"
    output.unlink(missing_ok=True)
    command = [str(ROOT / "ci" / "sbom.py")]
    arguments = [str(objects / "project_description.json"), str(output)]
    if tools.way == "container":
        # The container's Python can't run what was installed for this machine's.
        command = ["python3", *command, str(BUILD / "venv-esp32-container"), *arguments]
    else:
        # Not ESP-IDF's Python, which may be older than what these programs need.
        tools = idf.Tools("active")
        command = [sys.executable, *command, str(image.ENVIRONMENT), *arguments]
    if idf.run(tools, pin, command, {}, log) or not output.is_file():
        raise BuildError(f"there is no list of components; the end of {log}:\n{log_tail(log)}")
    document = json.loads(output.read_text())
    found = {component["name"]: component["version"] for component in document["components"]}
    if found.get("esp-idf") != pin.tag.removeprefix("v"):
        raise BuildError(f"the image was built with ESP-IDF {found.get('esp-idf')}, not {pin.tag}")
    return document


def complete(document, name, version, data, date, pins, libraries):
    """Add what ESP-IDF doesn't know of, and make the document that of the image.

    Args:
        document: from `components`.
        name, version: the image's.
        data: the image, bytes.
        date: of the source, seconds since 1970.
        pins: the `versions.Pins`.
        libraries: what the page has of third_party.
    """
    metadata = document["metadata"]
    metadata["timestamp"] = datetime.datetime.fromtimestamp(date, datetime.UTC).isoformat()
    metadata["component"].update(
        type="firmware",
        name=name,
        version=version,
        licenses=[{"license": {"id": "MIT"}}],
        hashes=hashes(data),
    )
    digest = hashlib.sha256(data).hexdigest()
    document["serialNumber"] = uuid.uuid5(uuid.NAMESPACE_OID, f"{name} {version} {digest}").urn
    document["components"].append(
        {
            "type": "framework",
            "name": "micropython",
            "version": pins.tag,
            "licenses": [{"license": {"id": "MIT"}}],
            "externalReferences": [
                {"type": "vcs", "url": pins.url, "comment": f"commit {pins.commit}"}
            ],
        }
    )
    for library in libraries:
        document["components"].append(
            {
                "type": "library",
                "name": library.name,
                "version": library.version,
                "purl": f"pkg:npm/{library.name}@{library.version}",
                "licenses": [{"license": {"id": library.licence}}],
                "hashes": hashes(library.data),
            }
        )
    return document


def hashes(data):
    return [{"alg": "SHA-256", "content": hashlib.sha256(data).hexdigest()}]


def step():
    if len(sys.argv) != 4:
        raise BuildError("usage: sbom.py ENVIRONMENT DESCRIPTION OUTPUT")
    folder, description, output = sys.argv[1:]
    python = environment.ensure(Path(folder), image.REQUIREMENTS)
    command = [str(python), "-m", "esp_idf_sbom", "--no-progress", "--no-hint", "create"]
    command += [*OPTIONS, "--output-file", output, description]
    if subprocess.run(command, env={**os.environ, **VARIABLES}).returncode:
        raise BuildError("esp-idf-sbom failed")


if __name__ == "__main__":
    main(step)
