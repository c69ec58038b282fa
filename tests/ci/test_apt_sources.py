"""What apt's own sources say about Debian's archive."""

from apt_sources import Entry, debian_archives, parse_list, parse_sources, render

LIST = """\
# deb http://old.example.com/debian bullseye main
deb http://deb.example.com/debian bookworm main contrib  # the archive
deb-src [ signed-by=/k.gpg arch=amd64 trusted=yes ] http://deb.example.com/debian sid main
deb http://security.example.com/debian-security bookworm-security main
deb cdrom:[Debian]/ bookworm main
nonsense
"""

SOURCES = """\
Types: deb deb-src
# a comment within the stanza
URIs: http://one.example.com/debian http://two.example.com/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/key.gpg

Enabled: no
Types: deb
URIs: http://off.example.com/debian
Suites: bookworm
Components: main

Types: deb
URIs: http://inline.example.com/debian/
Suites: trixie
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 mQINBF
 -----END PGP PUBLIC KEY BLOCK-----
"""
INLINE_KEY = """
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 mQINBF
 -----END PGP PUBLIC KEY BLOCK-----"""


def test_one_line_entries():
    uri = "http://deb.example.com/debian"
    assert parse_list(LIST) == [
        Entry(uri, "bookworm", ("main", "contrib")),
        Entry(uri, "sid", ("main",), "/k.gpg", "yes"),
        Entry("http://security.example.com/debian-security", "bookworm-security", ("main",)),
        Entry("cdrom:[Debian]/", "bookworm", ("main",)),
    ]


def test_deb822_stanzas():
    key = "/usr/share/keyrings/key.gpg"
    assert parse_sources(SOURCES) == [
        Entry("http://one.example.com/debian", "bookworm", ("main",), key),
        Entry("http://one.example.com/debian", "bookworm-updates", ("main",), key),
        Entry("http://two.example.com/debian", "bookworm", ("main",), key),
        Entry("http://two.example.com/debian", "bookworm-updates", ("main",), key),
        Entry("http://inline.example.com/debian/", "trixie", ("main",), INLINE_KEY),
    ]


def test_debian_archives_are_told_from_others():
    entries = [
        Entry("http://vendor.example.com/apt", "stable", ("contrib",)),
        Entry("http://node.example.com/node", "nodistro", ("main",)),
        Entry("http://archive.example.com/ubuntu", "noble", ("main",)),
        Entry("http://security.example.com/debian-security", "trixie", ("main",)),
        Entry("cdrom:[Debian]/", "bookworm", ("main",)),
        Entry("http://deb.example.com/debian/", "bookworm-updates", ("main",), "/k.gpg"),
        Entry("http://deb.example.com/debian", "bookworm", ("main",)),
        Entry("file:/mirror", "unstable", ("main",)),
    ]
    assert [entry.uri for entry in debian_archives(entries)] == [
        "http://deb.example.com/debian/",
        "file:/mirror",
    ]


def test_render_asks_each_archive_for_each_suite_alone():
    archives = [
        Entry("http://one.example.com/debian", "bookworm", ("main",), INLINE_KEY),
        Entry("file:/mirror", "sid", ("main",), "/k.gpg", "yes"),
    ]
    text = render(archives, ["sid", "trixie"])
    assert text.count("Types: deb-src\n") == 4
    assert parse_sources(text) == [
        Entry("http://one.example.com/debian", "sid", ("main",), INLINE_KEY),
        Entry("http://one.example.com/debian", "trixie", ("main",), INLINE_KEY),
        Entry("file:/mirror", "sid", ("main",), "/k.gpg", "yes"),
        Entry("file:/mirror", "trixie", ("main",), "/k.gpg", "yes"),
    ]
