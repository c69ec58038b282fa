"""A small Debian archive of source packages in a folder, which apt reads by a file: URI."""

import hashlib
import io
import tarfile


def tarball(top, files):
    """An .orig.tar.xz with `files`, name -> text, below the folder `top`."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:xz") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(f"{top}/{name}")
            member.size = len(text.encode())
            member.mtime = 1_700_000_000
            tar.addfile(member, io.BytesIO(text.encode()))
    return data.getvalue()


def write_suite(archive, suite, packages):
    """Write one suite. `packages` is a list of (package, version, files)."""
    stanzas = []
    for package, version, files in packages:
        upstream = version.rsplit("-", 1)[0]
        pool = archive / "pool" / suite / f"{package}-{version}"
        pool.mkdir(parents=True)
        contents = {
            f"{package}_{upstream}.orig.tar.xz": tarball(f"{package}-{upstream}", files),
            f"{package}_{version}.debian.tar.xz": tarball("debian", {"changelog": "none\n"}),
        }
        listing = "".join(checksum_line(name, data) for name, data in contents.items())
        head = f"Format: 3.0 (quilt)\nVersion: {version}\n"
        dsc = f"Source: {package}\n{head}Checksums-Sha256:\n{listing}".encode()
        contents[f"{package}_{version}.dsc"] = dsc
        for name, data in contents.items():
            (pool / name).write_bytes(data)
        listing = "".join(checksum_line(name, data) for name, data in contents.items())
        directory = pool.relative_to(archive)
        stanzas.append(
            f"Package: {package}\n{head}Directory: {directory}\nChecksums-Sha256:\n{listing}"
        )
    index = "\n".join(stanzas).encode()
    release = archive / "dists" / suite / "Release"
    sources = release.parent / "main" / "source" / "Sources"
    sources.parent.mkdir(parents=True)
    sources.write_bytes(index)
    release.write_text(
        f"Suite: {suite}\nCodename: {suite}\nComponents: main\nArchitectures: all\n"
        "Date: Thu, 01 Jan 2026 00:00:00 UTC\n"
        "SHA256:\n" + checksum_line("main/source/Sources", index)
    )


def checksum_line(name, data):
    return f" {hashlib.sha256(data).hexdigest()} {len(data)} {name}\n"


def configure_apt(folder, line):
    """An apt configuration whose only source is `line`; return the value for APT_CONFIG."""
    (folder / "parts").mkdir(parents=True)
    (folder / "sources.list").write_text(line + "\n")
    config = folder / "apt.conf"
    config.write_text(
        f'Dir::Etc::sourcelist "{folder}/sources.list";\nDir::Etc::sourceparts "{folder}/parts";\n'
    )
    return str(config)
