"""The Debian archives that this machine's apt is configured with.

apt reads two formats: one-line entries in *.list and deb822 stanzas in *.sources
(sources.list(5)). Both are parsed here, because only they tell where an archive is and which key
signs it on a machine that has never run ``apt-get update``.
"""

import dataclasses
import re
import shlex
import subprocess
from pathlib import Path

# Suites by which an entry is known to be of Debian's own archive; others (a vendor's, Ubuntu's)
# do not carry the suites that are looked for.
DEBIAN_SUITES = {
    *("bullseye", "bookworm", "trixie", "forky", "duke", "sid"),
    *("oldoldstable", "oldstable", "stable", "testing", "unstable"),
}
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


@dataclasses.dataclass(frozen=True)
class Entry:
    """One archive and suite of apt's sources. `signed_by` and `trusted` are "" when not given."""

    uri: str
    suite: str
    components: tuple
    signed_by: str = ""
    trusted: str = ""


def parse_list(text):
    """Parse one-line entries: ``deb [signed-by=...] URI SUITE COMPONENT...``."""
    entries = []
    for line in text.splitlines():
        line = line.split("#", 1)[0].strip()
        match = re.match(r"deb(?:-src)?\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s*(.*)$", line)
        if not match:
            continue
        options = dict(word.split("=", 1) for word in shlex.split(match[1] or "") if "=" in word)
        entries.append(
            Entry(
                match[2],
                match[3],
                tuple(match[4].split()),
                options.get("signed-by", ""),
                options.get("trusted", ""),
            )
        )
    return entries


def parse_sources(text):
    """Parse deb822 stanzas. A key given inline in Signed-By is kept as it is written."""
    entries = []
    for stanza in re.split(r"\n\s*\n", text):
        fields = {}
        name = None
        for line in stanza.splitlines():
            if line.startswith("#"):
                continue
            if line[:1] in (" ", "\t") and name:
                fields[name] += "\n" + line
            elif ":" in line:
                name, value = line.split(":", 1)
                name = name.strip().lower()
                fields[name] = value.strip()
        if fields.get("enabled", "yes").lower() in ("no", "false", "0"):
            continue
        for uri in fields.get("uris", "").split():
            for suite in fields.get("suites", "").split():
                entries.append(
                    Entry(
                        uri,
                        suite,
                        tuple(fields.get("components", "").split()),
                        fields.get("signed-by", ""),
                        fields.get("trusted", ""),
                    )
                )
    return entries


def configured_entries():
    """Every entry of the files that apt itself reads on this machine."""
    settings = ["LIST", "Dir::Etc::sourcelist/f", "PARTS", "Dir::Etc::sourceparts/d"]
    shell = subprocess.run(
        ["apt-config", "shell", *settings], capture_output=True, text=True
    ).stdout
    places = dict(word.split("=", 1) for word in shlex.split(shell) if "=" in word)
    files = [Path(places.get("LIST", "/etc/apt/sources.list"))]
    files += sorted(Path(places.get("PARTS", "/etc/apt/sources.list.d")).glob("*"))
    entries = []
    for file in files:
        if file.is_file() and file.suffix in (".list", ".sources"):
            parse = parse_list if file.suffix == ".list" else parse_sources
            entries += parse(file.read_text(errors="replace"))
    return entries


def debian_archives(entries):
    """The Debian archives among `entries`: one Entry each, without those for security updates."""
    archives = {}
    for entry in entries:
        release = re.sub(r"-(updates|backports|proposed-updates)$", "", entry.suite)
        if (
            release in DEBIAN_SUITES
            and "main" in entry.components
            and "security" not in entry.uri
            and not entry.uri.startswith("cdrom:")
        ):
            archives.setdefault(entry.uri.rstrip("/"), entry)
    return list(archives.values())


def render(archives, suites):
    """A deb822 file that asks each archive for the sources of each suite.

    One stanza each, so that a suite which an archive lacks fails alone.
    """
    stanzas = []
    for entry in archives:
        signed_by = entry.signed_by or (str(KEYRING) if KEYRING.is_file() else "")
        for suite in suites:
            lines = [
                "Types: deb-src",
                f"URIs: {entry.uri}",
                f"Suites: {suite}",
                "Components: main",
            ]
            if signed_by:
                lines.append(f"Signed-By: {signed_by}")
            if entry.trusted:
                lines.append(f"Trusted: {entry.trusted}")
            stanzas.append("\n".join(lines) + "\n")
    return "\n".join(stanzas)
