"""Pack frozen_www/ into the frozen module `assets`, build/assets/assets.py, and for the host board
what measuring needs into `bench_assets`, build/bench/bench_assets.py.

Each file becomes a tuple of literals, which stays in flash: the whole response to a GET, whose
content is gzipped where that is smaller, as one literal, and the head of a 304.

A file that a page refers to gets a name with a hash of its content and may be cached for ever
(RFC 8246); pages, and files that nothing refers to, keep their names and are revalidated by their
ETag on every use (RFC 9111 section 5.2.2.4).
"""

import base64
import dataclasses
import hashlib
import posixpath
import random
import re
import zlib
from html.parser import HTMLParser
from pathlib import Path

import boards
import bundler
import minifier
import third_party
from common import BUILD, ROOT, BuildError, main, say, write_if_changed

FOLDER = ROOT / "frozen_www"
OUTPUT = BUILD / "assets" / "assets.py"
BENCH_OUTPUT = BUILD / "bench" / "bench_assets.py"

# The device inflates an asset for a client that doesn't take gzip, with a window of this size in
# its heap: 2^12 bytes cost the page about 2 % of its compressed size (httpd/assets.py).
WINDOW_BITS = 12

NAME_HASH_DIGITS = 8
ETAG_HASH_DIGITS = 10

CONTENT_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".htm": "text/html; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".jpg": "image/jpeg",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}
ANY_CONTENT_TYPE = "application/octet-stream"
PAGES = (".htm", ".html")

# The page may do what it does with its own scripts and styles, and nothing that is written into
# it. WebSockets are named because 'self' does not cover ws: in every browser.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self' ws: wss:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
PAGE_HEADERS = (
    ("Content-Security-Policy", CONTENT_SECURITY_POLICY),
    # Not no-referrer: with that, browsers send "Origin: null" with the page's own forms.
    ("Referrer-Policy", "same-origin"),
    ("X-Frame-Options", "DENY"),
)
REVALIDATED = "no-cache"
IMMUTABLE = "public, max-age=31536000, immutable"

# url(...) and @import "..." of CSS, outside comments.
CSS_REFERENCE = re.compile(
    r"/\*.*?\*/"
    r"|url\(\s*(?P<quote>[\"']?)(?P<url>[^\s\"')][^\"')]*)(?P=quote)\s*\)"
    r"|@import\s+(?P<quote2>[\"'])(?P<import>[^\"']+)(?P=quote2)",
    re.DOTALL,
)
# Strings of scripts and data, whose references are not renamed.
QUOTED = re.compile(rb"[\"'`]([^\"'`\s]+)[\"'`]")
NAMING_FILES = (".js", ".json", ".webmanifest")
ATTRIBUTE = r"\s{name}\s*=\s*(?:\"\s*([^\"]*)\"|'\s*([^']*)'|([^\s\"'>]+))"
# Script elements of these types are run, so the policy above blocks them when they are inline.
RUN_TYPES = (None, "", "text/javascript", "application/javascript", "module", "importmap")


@dataclasses.dataclass(frozen=True)
class Asset:
    """One packed file. `raw` and `minified` are sizes in bytes, for the table."""

    name: str
    etag: str
    content_type: str
    encoding: str
    size: int
    head: bytes
    head_304: bytes
    body: bytes
    raw: int
    minified: int


def read_folder(folder):
    """The files of `folder`: name with slashes -> bytes. Hidden and backup files are left out."""
    files = {}
    for path in sorted(Path(folder).rglob("*")):
        name = path.relative_to(folder).as_posix()
        hidden = any(part.startswith(".") for part in name.split("/"))
        if path.is_file() and not hidden and not name.endswith("~"):
            files[name] = path.read_bytes()
    return files


def resolve(name, reference):
    """The file that `reference` in the file `name` means, or None when it is not one of ours."""
    path = re.split(r"[?#]", reference, maxsplit=1)[0]
    if not path or reference.startswith("//") or re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*:", reference):
        return None
    # The folder is served from the root.
    return posixpath.normpath(posixpath.join("/", posixpath.dirname(name), path)).lstrip("/")


class PageReferences(HTMLParser):
    """Finds what a page loads: (start, reference) of each src, and of each link's href."""

    def __init__(self, name, text):
        super().__init__(convert_charrefs=True)
        self.name = name
        self.line_starts = [0] + [match.end() for match in re.finditer("\n", text)]
        self.found = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.refuse_blocked(tag, attributes)
        for name in ("src", "href"):
            if name not in attributes or (name == "href" and tag != "link"):
                continue
            match = re.search(ATTRIBUTE.format(name=name), self.get_starttag_text(), re.IGNORECASE)
            if match:
                line, column = self.getpos()
                tag_start = self.line_starts[line - 1] + column
                group = match.lastindex
                self.found.append((tag_start + match.start(group), match[group]))

    handle_startendtag = handle_starttag

    def refuse_blocked(self, tag, attributes):
        """Check that the page's own policy lets all of it work.

        Raises:
            BuildError: it would block something.
        """
        blocked = None
        if tag == "style" or "style" in attributes:
            blocked = "a style"
        elif tag == "script" and "src" not in attributes and attributes.get("type") in RUN_TYPES:
            blocked = "a script"
        elif any(name.startswith("on") for name in attributes):
            blocked = "an event handler"
        if blocked:
            raise BuildError(
                f"{self.name}:{self.getpos()[0]}: {blocked} in the page itself is blocked by its "
                "Content-Security-Policy; put it in a file below static/"
            )


def references(name, text):
    """What the page or style sheet `name` loads: (start, reference), in order."""
    if name.endswith(PAGES):
        return PageReferences(name, text).found
    found = []
    for match in CSS_REFERENCE.finditer(text):
        for group in ("url", "import"):
            if match[group] is not None:
                found.append((match.start(group), match[group].rstrip()))
    return found


class Packer:
    """Packs files in the order of their references, so that each hash covers what it refers to."""

    def __init__(self, files, minify):
        self.files = files
        self.minify = minify
        self.contents = {}
        self.under_way = []
        self.referred = set()

    def content(self, name):
        """The bytes that are served for the file `name`: references renamed, minified."""
        if name in self.contents:
            return self.contents[name]
        if name in self.under_way:
            raise BuildError(f"{' -> '.join([*self.under_way, name])}: refers to itself")
        data = self.files[name]
        if name.endswith((*PAGES, ".css")):
            self.under_way.append(name)
            data = self.rename_references(name, data)
            self.under_way.pop()
        self.contents[name] = self.minify(name, data)
        return self.contents[name]

    def rename_references(self, name, data):
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            raise BuildError(f"{name}: not UTF-8 at byte {error.start}") from error
        parts = []
        done = 0
        for start, reference in references(name, text):
            target = resolve(name, reference)
            if target is None:
                continue
            if target not in self.files:
                raise BuildError(f"{name}: refers to {reference!r}, which is not in the folder")
            if target.endswith(PAGES):
                continue
            self.referred.add(target)
            path = re.match(r"[^?#]*", reference)[0]
            renamed = posixpath.basename(self.served_name(target))
            parts += [text[done:start], posixpath.join(posixpath.dirname(path), renamed)]
            done = start + len(path)
        return ("".join(parts) + text[done:]).encode()

    def served_name(self, name):
        """The name below the root that `name` is served by."""
        if name not in self.referred:
            return name
        digest = hashlib.sha256(self.content(name)).hexdigest()[:NAME_HASH_DIGITS]
        stem, extension = posixpath.splitext(name)
        return f"{stem}.{digest}{extension}"

    def assets(self):
        """Every file as an Asset, sorted by name."""
        for name in self.files:
            self.content(name)
        self.check_scripts()
        return sorted((self.asset(name) for name in self.files), key=lambda asset: asset.name)

    def check_scripts(self):
        """Check that no script names a file that is served by another name.

        Raises:
            BuildError: one does.
        """
        for name, content in self.contents.items():
            if not name.endswith(NAMING_FILES):
                continue
            for match in QUOTED.finditer(content):
                reference = match[1].decode(errors="replace")
                # A script's import is relative to the script, what it fetches to the page.
                for target in {resolve(name, reference), resolve("", reference)} & self.referred:
                    raise BuildError(
                        f"{name}: names {target}, which the page refers to and which is therefore "
                        "served by a hashed name; take it from the page's own element"
                    )

    def asset(self, name):
        content = self.contents[name]
        compressed = compress(content)
        encoding, body = ("gzip", compressed) if len(compressed) < len(content) else ("", content)
        etag = f'"{hashlib.sha256(content).hexdigest()[:ETAG_HASH_DIGITS]}"'
        extension = posixpath.splitext(name)[1]
        content_type = CONTENT_TYPES.get(extension, ANY_CONTENT_TYPE)
        validators = [
            ("ETag", etag),
            ("Cache-Control", IMMUTABLE if name in self.referred else REVALIDATED),
            ("Vary", "Accept-Encoding"),
        ]
        headers = [("Content-Type", content_type)]
        if encoding:
            headers.append(("Content-Encoding", encoding))
        headers += [("Content-Length", str(len(body))), *validators]
        headers.append(("X-Content-Type-Options", "nosniff"))
        if extension in PAGES:
            headers += PAGE_HEADERS
        return Asset(
            name=self.served_name(name),
            etag=etag,
            content_type=content_type,
            encoding=encoding,
            size=len(content),
            head=response_head("200 OK", headers),
            head_304=response_head("304 Not Modified", validators),
            body=body,
            raw=len(self.files[name]),
            minified=len(content),
        )


def compress(content):
    """`content` as gzip (RFC 1952) without name and time: the same input, the same bytes."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, 16 + WINDOW_BITS, 9)
    return compressor.compress(content) + compressor.flush()


def response_head(status, headers):
    """A whole response head (RFC 9112 section 2.1), the empty line included."""
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")


def pack(files, minify=minifier.unchanged):
    """Pack `files` (name -> bytes) with `minify(name, bytes) -> bytes`; return sorted Assets.

    Raises:
        BuildError: a file refers to one that isn't there or back to itself, isn't UTF-8, or has
            what the page's policy would block; the text names it.
    """
    return Packer(files, minify).assets()


def record(asset):
    """What is frozen of an Asset. Head and content are one literal, so that one write sends both
    without a copy in RAM."""
    return (
        asset.name,
        asset.etag,
        asset.content_type,
        asset.encoding,
        asset.size,
        asset.head_304,
        len(asset.head),
        asset.head + asset.body,
    )


def module_text(assets):
    """The text of the frozen module: nothing but literals, so that all of it stays in flash."""
    lines = [
        '"""Packed web files; written by the build (ci/pack_assets.py)."""',
        "",
        "# (name, etag, content_type, encoding, size, head_304, head_size, response), by name;",
        "# response is the head of a 200, head_size bytes long, and the content.",
        "ASSETS = (",
    ]
    for asset in assets:
        lines.append("    (")
        lines += [f"        {value!r}," for value in record(asset)]
        lines.append("    ),")
    lines.append(")")
    return "\n".join(lines) + "\n"


def flash_size(asset):
    """The bytes of an Asset in flash, but for its name and the like."""
    return len(asset.head) + len(asset.body) + len(asset.head_304)


def table(assets, room):
    """The sizes of the assets as lines of text, with their total; `room` is that of the app."""
    sizes = [
        (asset.name, asset.raw, asset.minified, len(asset.body), flash_size(asset))
        for asset in assets
    ]
    sizes.append(("total", *(sum(row[column] for row in sizes) for column in range(1, 5))))
    rows = [("asset", "raw", "minified", "sent", "of the app's room")]
    rows += [(*row[:4], f"{100 * row[4] / room:.2f} %") for row in sizes]
    width = max(len(row[0]) for row in rows)
    return [
        f"  {name:{width}}{raw:>10}{minified:>10}{sent:>10}{share:>20}"
        for name, raw, minified, sent, share in rows
    ]


def bench_files():
    """What is served below /bench/ by the host board, the same in every build: 30,000 bytes that
    don't compress, and text that takes about 90,000 compressed and 120,000 inflated."""
    random_bytes = random.Random(30000).randbytes
    return {"30k": random_bytes(30_000), "90k.txt": base64.b64encode(random_bytes(89_500))}


def step():
    if not FOLDER.is_dir():
        raise BuildError(f"{FOLDER} is not there")
    minify = minifier.load()
    foreign = third_party.load()
    esbuild = bundler.program()
    files = read_folder(FOLDER)
    own = bundler.bundle(files, esbuild)
    # What esbuild has made is as small as it gets.
    done = {*foreign, *(bundler.entries(files) if esbuild else ())}
    assets = pack(
        {**foreign, **own},
        lambda name, data: data if name in done else minify(name, data),
    )
    if write_if_changed(OUTPUT, module_text(assets).encode()):
        say("assets: packed from frozen_www, bytes:")
        room = boards.partition("factory", boards.read_partitions()).size
        for line in table(assets, room):
            say(line)
    write_if_changed(BENCH_OUTPUT, module_text(pack(bench_files())).encode())


if __name__ == "__main__":
    main(step)
