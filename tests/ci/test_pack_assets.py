"""The packed page: names, heads, references, and the frozen module's text."""

import ast
import gzip
import hashlib
import re
import runpy

import pytest

import minifier
import pack_assets
from common import BuildError

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<!-- <link rel="stylesheet" href="static/gone.css"> -->
<link rel="stylesheet"
      href="static/style.css">
<link rel=icon href=/static/icon.svg>
<script type="module" src='./static/app.js?x=1#y'></script>
</head>
<body>
<a href="/logout">Log out</a> <a href="help.htm">Help</a>
<img alt="" src="data:image/gif;base64,R0lGODlhAQABAAAAACw="><img alt="" SRC="static/dot.png" />
<script type="application/json">{"src": "static/nothing.js"}</script>
</body>
</html>
"""
STYLE = (
    """/* url(never.png) */
@import "more.css";
body { background: url( "icon.svg" ) }
i { background: url(../static/dot.png) }
b { background: url(data:image/gif;base64,R0lGODlhAQABAAAAACw=) }
"""
    + "p { color: red }\n" * 20
)
FILES = {
    "page.htm": PAGE.encode(),
    "help.htm": b"<!doctype html><title>Help</title>",
    "static/style.css": STYLE.encode(),
    "static/more.css": b"a { color: blue }\n",
    "static/app.js": b"console.log('hello');\n" * 20,
    "static/icon.svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "static/dot.png": bytes(range(256)),
    "robots.txt": b"User-agent: *\nDisallow: /\n",
    "blob": b"\0\xff\r\n'\"\\" * 3,
}


@pytest.fixture(scope="module")
def assets():
    return pack_assets.pack(FILES)


def by_source(assets, name):
    """The asset made of the file `name`, hashed or not."""
    stem, _, extension = name.rpartition(".")
    pattern = re.compile(rf"{re.escape(stem)}(\.[0-9a-f]{{8}})?\.{extension}|{re.escape(name)}")
    (asset,) = [asset for asset in assets if pattern.fullmatch(asset.name)]
    return asset


def content(asset):
    return gzip.decompress(asset.body) if asset.encoding else asset.body


def headers(head):
    status, *lines = head.decode("ascii").split("\r\n")
    assert lines[-2:] == ["", ""]
    return status, dict(line.split(": ", 1) for line in lines[:-2])


def test_same_files_give_the_same_bytes(assets):
    again = pack_assets.pack(dict(reversed(FILES.items())))
    assert pack_assets.module_text(again) == pack_assets.module_text(assets)


def test_sorted_by_name(assets):
    names = [asset.name for asset in assets]
    assert names == sorted(names)
    assert len(names) == len(FILES)


def test_names_of_what_a_page_loads_carry_the_hash_of_the_content(assets):
    for name in ("app.js", "style.css", "more.css", "icon.svg", "dot.png"):
        asset = by_source(assets, f"static/{name}")
        digest = hashlib.sha256(content(asset)).hexdigest()
        stem, extension = name.split(".")
        assert asset.name == f"static/{stem}.{digest[:8]}.{extension}"
        assert headers(asset.head)[1]["Cache-Control"] == "public, max-age=31536000, immutable"


def test_what_nothing_loads_keeps_its_name_and_is_revalidated(assets):
    for name in ("page.htm", "help.htm", "robots.txt", "blob"):
        asset = by_source(assets, name)
        assert asset.name == name
        assert headers(asset.head)[1]["Cache-Control"] == "no-cache"
        assert headers(asset.head_304)[1]["Cache-Control"] == "no-cache"


def test_references_in_a_page_are_renamed(assets):
    names = {
        name: by_source(assets, f"static/{name}").name
        for name in ("style.css", "icon.svg", "app.js", "dot.png")
    }
    expected = PAGE.replace('href="static/style.css"', f'href="{names["style.css"]}"')
    expected = expected.replace("href=/static/icon.svg", f"href=/{names['icon.svg']}")
    expected = expected.replace("./static/app.js?", f"./{names['app.js']}?")
    expected = expected.replace('SRC="static/dot.png"', f'SRC="{names["dot.png"]}"')
    assert content(by_source(assets, "page.htm")).decode() == expected


def test_references_in_a_style_sheet_are_renamed(assets):
    names = {
        name: by_source(assets, f"static/{name}").name
        for name in ("more.css", "icon.svg", "dot.png")
    }
    expected = STYLE.replace("more.css", names["more.css"].removeprefix("static/"))
    expected = expected.replace("icon.svg", names["icon.svg"].removeprefix("static/"))
    expected = expected.replace("../static/dot.png", f"../{names['dot.png']}")
    assert content(by_source(assets, "static/style.css")).decode() == expected


def test_a_changed_image_changes_the_names_of_all_that_lead_to_it(assets):
    changed = pack_assets.pack({**FILES, "static/dot.png": b"another"})
    for name in ("static/dot.png", "static/style.css"):
        assert by_source(changed, name).name != by_source(assets, name).name
    assert by_source(changed, "page.htm").etag != by_source(assets, "page.htm").etag
    assert by_source(changed, "static/app.js").name == by_source(assets, "static/app.js").name


def test_etag_is_a_quoted_hash_of_the_uncompressed_content(assets):
    for asset in assets:
        digest = hashlib.sha256(content(asset)).hexdigest()
        assert asset.etag == f'"{digest[:10]}"'
        assert headers(asset.head)[1]["ETag"] == asset.etag
        assert headers(asset.head_304)[1]["ETag"] == asset.etag


def test_gzip_has_no_time_and_no_file_name(assets):
    compressed = [asset for asset in assets if asset.encoding == "gzip"]
    assert by_source(assets, "static/app.js") in compressed
    for asset in compressed:
        assert asset.body[:4] == b"\x1f\x8b\x08\x00"  # no flags: RFC 1952 section 2.3
        assert asset.body[4:8] == b"\0\0\0\0"
        assert len(asset.body) < asset.size
        assert headers(asset.head)[1]["Content-Encoding"] == "gzip"


def test_what_gzip_does_not_make_smaller_is_sent_as_it_is(assets):
    asset = by_source(assets, "static/dot.png")
    assert asset.encoding == ""
    assert asset.body == FILES["static/dot.png"]
    assert "Content-Encoding" not in headers(asset.head)[1]


def test_heads(assets):
    for asset in assets:
        status, fields = headers(asset.head)
        assert status == "HTTP/1.1 200 OK"
        assert fields["Content-Type"] == asset.content_type
        assert fields["Content-Length"] == str(len(asset.body))
        assert fields["Vary"] == "Accept-Encoding"
        assert fields["X-Content-Type-Options"] == "nosniff"
        assert asset.size == len(content(asset))
        status, fields = headers(asset.head_304)
        assert status == "HTTP/1.1 304 Not Modified"
        assert set(fields) == {"ETag", "Cache-Control", "Vary"}
        assert len(asset.head_304) < 200


def test_a_page_carries_its_policy_and_nothing_else_does(assets):
    for asset in assets:
        _, fields = headers(asset.head)
        page = asset.name.endswith(".htm")
        for name in ("Content-Security-Policy", "Referrer-Policy", "X-Frame-Options"):
            assert (name in fields) == page
    policy = headers(by_source(assets, "page.htm").head)[1]["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("page.htm", "text/html; charset=utf-8"),
        ("static/app.js", "text/javascript; charset=utf-8"),
        ("static/icon.svg", "image/svg+xml"),
        ("static/dot.png", "image/png"),
        ("robots.txt", "text/plain; charset=utf-8"),
        ("blob", "application/octet-stream"),
    ],
)
def test_content_types(assets, name, content_type):
    assert by_source(assets, name).content_type == content_type


def test_the_module_is_one_tuple_of_literals(assets):
    tree = ast.parse(pack_assets.module_text(assets))
    docstring, assignment = tree.body
    assert isinstance(docstring.value, ast.Constant)
    assert [target.id for target in assignment.targets] == ["ASSETS"]
    for node in ast.walk(assignment.value):
        assert isinstance(node, ast.Tuple | ast.Constant | ast.Load)
    assert ast.literal_eval(assignment.value) == tuple(map(pack_assets.record, assets))


def test_a_record_has_the_whole_response_as_one_literal(assets):
    for asset in assets:
        *fields, head_304, head_size, response = pack_assets.record(asset)
        assert fields == [asset.name, asset.etag, asset.content_type, asset.encoding, asset.size]
        assert head_304 == asset.head_304
        assert response[:head_size] == asset.head
        assert response[head_size:] == asset.body


def test_no_files_make_an_empty_module():
    namespace = {}
    exec(pack_assets.module_text(pack_assets.pack({})), namespace)
    assert namespace["ASSETS"] == ()


def test_minified_content_is_what_is_hashed_and_served():
    def minify(name, data):
        return data.replace(b" ", b"") if name.endswith(".css") else data

    assets = pack_assets.pack(FILES, minify)
    style = by_source(assets, "static/style.css")
    assert b" " not in content(style)
    assert style.name.split(".")[1] == hashlib.sha256(content(style)).hexdigest()[:8]
    assert style.name.encode() in content(by_source(assets, "page.htm"))
    assert (style.raw, style.minified) == (len(STYLE), len(content(style)))


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"a.htm": b"<img src='b.png'>"}, "a.htm: refers to 'b.png', which is not in the folder"),
        ({"s/a.css": b"i{background:url(/b.png)}"}, "s/a.css: refers to '/b.png'"),
        ({"a.htm": b"<script src='../../a.js'></script>"}, "a.htm: refers to '../../a.js'"),
        ({"a.css": b"@import 'b.css';", "b.css": b"@import 'a.css';"}, "a.css -> b.css -> a.css"),
        ({"a.htm": b"<p>\xff"}, "a.htm: not UTF-8 at byte 3"),
        ({"a.htm": b"<p>\n<style>p{}</style>"}, "a.htm:2: a style"),
        ({"a.htm": b"<p style='color: red'>"}, "a.htm:1: a style"),
        ({"a.htm": b"<script>alert(1)</script>"}, "a.htm:1: a script"),
        ({"a.htm": b"<script type=module>alert(1)</script>"}, "a.htm:1: a script"),
        ({"a.htm": b"<p onclick='alert(1)'>"}, "a.htm:1: an event handler"),
        (
            {"a.htm": b"<img src=s/b.png>", "s/b.png": b"", "s/a.js": b"load('/s/b.png')"},
            "s/a.js: names s/b.png",
        ),
        (
            {
                "a.htm": b"<link rel=modulepreload href=s/b.js>",
                "s/b.js": b"",
                "s/a.js": b"import './b.js'",
            },
            "s/a.js: names s/b.js",
        ),
    ],
)
def test_errors_name_the_file_and_the_reason(files, reason):
    with pytest.raises(BuildError) as error:
        pack_assets.pack(files)
    assert reason in str(error.value)


def test_hidden_and_backup_files_are_left_out(tmp_path):
    for name in ("page.htm", "page.htm~", ".page.htm.swp", ".cache/x", "static/app.js"):
        path = tmp_path / "www" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    assert list(pack_assets.read_folder(tmp_path / "www")) == ["page.htm", "static/app.js"]


def test_the_table_sums_up(assets):
    in_flash = [len(a.head) + len(a.body) + len(a.head_304) for a in assets]
    lines = [line.split() for line in pack_assets.table(assets, 100_000)]
    assert lines[0] == ["asset", "raw", "minified", "sent", "of", "the", "app's", "room"]
    assert lines[-1] == [
        "total",
        str(sum(map(len, FILES.values()))),
        str(sum(asset.size for asset in assets)),
        str(sum(len(asset.body) for asset in assets)),
        f"{sum(in_flash) / 1000:.2f}",
        "%",
    ]
    assert [line[0] for line in lines[1:-1]] == [asset.name for asset in assets]
    assert [line[4] for line in lines[1:-1]] == [f"{size / 1000:.2f}" for size in in_flash]


def test_the_programs_output_is_left_alone_when_nothing_changed(tmp_path, monkeypatch, capsys):
    www = tmp_path / "www"
    www.mkdir()
    (www / "page.htm").write_text("<!doctype html><title>One</title>")
    monkeypatch.setattr(pack_assets, "FOLDER", www)
    monkeypatch.setattr(pack_assets, "OUTPUT", tmp_path / "assets.py")
    monkeypatch.setattr(pack_assets, "BENCH_OUTPUT", tmp_path / "bench_assets.py")
    monkeypatch.setattr(minifier, "load", lambda: minifier.unchanged)
    pack_assets.step()
    assert "page.htm" in capsys.readouterr().out
    written = (tmp_path / "assets.py").stat()
    pack_assets.step()
    assert (tmp_path / "assets.py").stat().st_mtime_ns == written.st_mtime_ns
    assert capsys.readouterr().out == ""
    (www / "page.htm").write_text("<!doctype html><title>Two</title>")
    pack_assets.step()
    assert "Two" in (tmp_path / "assets.py").read_text()


def test_without_the_folder_it_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(pack_assets, "FOLDER", tmp_path / "www")
    with pytest.raises(BuildError, match="www is not there"):
        pack_assets.step()


def test_what_measuring_needs_is_packed_beside_the_page(tmp_path, monkeypatch):
    monkeypatch.setattr(pack_assets, "OUTPUT", tmp_path / "assets.py")
    monkeypatch.setattr(pack_assets, "BENCH_OUTPUT", tmp_path / "bench_assets.py")
    pack_assets.step()
    before = (tmp_path / "bench_assets.py").read_bytes()
    found = {asset[0] for asset in runpy.run_path(tmp_path / "bench_assets.py")["ASSETS"]}
    assert found == {"30k", "90k.txt"}
    pack_assets.step()
    assert (tmp_path / "bench_assets.py").read_bytes() == before


def test_what_measuring_needs_has_the_sizes_that_bench_counts_on():
    found = {asset.name: asset for asset in pack_assets.pack(pack_assets.bench_files())}
    assert found["30k"].raw == len(found["30k"].body) == 30_000
    assert 119_000 < found["90k.txt"].raw < 120_000
    assert 89_000 < len(found["90k.txt"].body) < 91_000
