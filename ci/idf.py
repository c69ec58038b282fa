"""The pinned ESP-IDF: where it is on this machine, and how a command is run with it."""

import dataclasses
import os
import re
import shutil
import subprocess
from pathlib import Path

import versions
from common import ROOT, BuildError, say

# Our own make hands its variables and flags to the makes below it; these are not meant for them.
UNWANTED = ("BUILD", "MAKEFLAGS", "MAKELEVEL", "MFLAGS", "MAKEOVERRIDES", "V")

# Takes the environment that ESP-IDF's export.sh makes, then becomes the command.
WITH_EXPORT = '. "$IDF_PATH/export.sh" >/dev/null && exec "$@"'


@dataclasses.dataclass(frozen=True)
class Idf:
    """The pinned ESP-IDF; see versions.toml."""

    url: str
    tag: str
    commit: str

    @classmethod
    def load(cls):
        return cls(**versions.load()["esp_idf"])

    @property
    def image(self):
        return f"docker.io/espressif/idf:{self.tag}"


@dataclasses.dataclass(frozen=True)
class Tools:
    """How idf.py is run: `way` is active, idf_path or container; `engine` docker or podman.

    `rootless`: docker's daemon runs as who calls it, who is root in its containers then.
    """

    way: str
    engine: str = ""
    rootless: bool = False


def said(command):
    """The output of a command, or "" when it can't be run or fails."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


def idf_path_version(folder):
    """The version of the ESP-IDF in `folder`, as its tag: "v5.5.1"; "" when it is none."""
    try:
        text = (Path(folder) / "tools" / "cmake" / "version.cmake").read_text()
    except OSError:
        return ""
    values = dict(re.findall(r"set\(IDF_VERSION_(\w+) (\d+)\)", text))
    if len(values) != 3:
        return ""
    return f"v{values['MAJOR']}.{values['MINOR']}.{values['PATCH']}"


def choose_tools(idf, environment, which=shutil.which, ask=said):
    """The first way to run the pinned ESP-IDF that is there.

    `which` finds a program, `ask` returns a command's output.

    Raises:
        BuildError: there is none; three lines say what to install.
    """
    if which("idf.py") and environment.get("IDF_PATH"):
        version = re.search(r"v[\d.]+\S*", ask(["idf.py", "--version"]))
        if version and version[0] == idf.tag:
            return Tools("active")
        say(f"firmware: the active ESP-IDF is {version[0] if version else 'unknown'}: not used")
    folder = environment.get("IDF_PATH")
    if folder:
        version = idf_path_version(folder)
        if version == idf.tag:
            return Tools("idf_path")
        say(f"firmware: IDF_PATH={folder} is {version or 'not an ESP-IDF'}: not used")
    for engine in ("docker", "podman"):
        # A docker without its daemon is as good as none.
        answer = ask([engine, "info"]) if which(engine) else ""
        if answer:
            return Tools("container", engine, engine == "docker" and "rootless" in answer)
    raise BuildError(
        f"an ESP32 image needs ESP-IDF {idf.tag}, which is not here. Do one of these:\n"
        f"  install docker or podman; the build then uses the container {idf.image}\n"
        f"  git clone --recursive -b {idf.tag} {idf.url}; run its install.sh; set IDF_PATH to it"
    )


def run_command(tools, idf, command, variables, root, user):
    """`command` as it is run by `tools`, as a list. `user` is (uid, gid)."""
    if tools.way == "active":
        return command
    if tools.way == "idf_path":
        return ["bash", "-c", WITH_EXPORT, "bash", *command]
    container = [tools.engine, "run", "--rm", "--volume", f"{root}:{root}", "--workdir", str(root)]
    # Where SELinux guards files, it keeps containers from those of a home folder.
    container += ["--security-opt", "label=disable"]
    # What is built belongs to who builds it. Podman's root is who runs it, and older releases
    # refuse to keep the id of the real one.
    if tools.engine == "podman":
        container += ["--userns", "keep-id"] if user[0] else []
    elif not tools.rootless:
        container += ["--user", f"{user[0]}:{user[1]}"]
    # idf.py and git want a home; the folder belongs to somebody else than the container's root.
    settings = {"HOME": "/tmp", "IDF_GIT_SAFE_DIR": str(root), **variables}
    for name, value in settings.items():
        container += ["--env", f"{name}={value}"]
    return [*container, idf.image, *command]


def run(tools, idf, command, variables, log):
    """Run a command with ESP-IDF; what it prints goes to the file `log`. Returns its exit code."""
    environment = {key: value for key, value in os.environ.items() if key not in UNWANTED}
    with open(log, "a") as output:
        done = subprocess.run(
            run_command(tools, idf, command, variables, ROOT, (os.getuid(), os.getgid())),
            env={**environment, **variables},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    return done.returncode


def overflow(log):
    """By how many bytes the app is too large, according to ESP-IDF's log; None when it fits."""
    match = re.search(r"overflow (0x[0-9a-fA-F]+)", log)
    return int(match[1], 16) if match else None
