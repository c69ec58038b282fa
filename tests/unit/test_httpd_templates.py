"""httpd.templates: what tags become, what is escaped, what is refused, and pages that stream."""

import os

from helpers import raises
from httpd import Application
from httpd.templates import BLOCK, Template, Templates, raw, source
from httpd.testing import TestClient


def text(template, **values):
    return b"".join([bytes(piece) for piece in template(**values)]).decode()


def test_values_are_no_markup():
    page = Template("<p title='{{ a }}'>{{ b }} {{ raw(b) }} {{ c }}{{ None }}</p>")
    found = text(page, a='it\'s "<x>"', b="<b>&</b>", c=1.5)
    assert found == (
        "<p title='it&#39;s &quot;&lt;x&gt;&quot;'>&lt;b&gt;&amp;&lt;/b&gt; <b>&</b> 1.5</p>"
    )
    assert text(Template("{{ a }}"), a=raw("<i>")) == "<i>"


def test_statements():
    page = Template(
        "{% args names, last='.' %}\n"
        "{# not seen: {{ names }} #}"
        "{% for name in names %}\n"
        "{% if name == 'a' %}\n"
        "A\n"
        "{% elif name == 'b' %}\n"
        "B {% set n = len(name) %}{{ n }}\n"
        "{% else %}\n"
        "{{ name }}\n"
        "{% endif %}\n"
        "{% endfor %}\n"
        "{{ last }}"
    )
    assert text(page, names=["a", "b", "č{{"]) == "A\nB 1\nč{{\n."
    assert text(page, names=(), last="!") == "!"
    raises(TypeError, text, page)
    raises(TypeError, text, page, names=(), more=1)
    assert text(Template("{% while todo %}{{ todo.pop() }}{% endwhile %}"), todo=[1, 2]) == "21"
    assert text(Template("")) == "" and text(Template("{% if 0 %}{% endif %}")) == ""


def test_what_can_not_be_compiled():
    for page, why in (
        ("a\n{{ b", "line 2: {{ without }}"),
        ("{% if x %}", "line 1: if without endif"),
        ("\n{% endfor %}", "line 2: endfor without for"),
        ("{% if x %}{% endfor %}{% endif %}", "line 1: endfor without for"),
        ("{% for x in y %}{% else %}{% endfor %}", "line 1: else without if"),
        ("{% nonsense %}", "line 1: unknown statement nonsense"),
        ("{% include name %}", "line 1: include wants a name in quotes"),
        ("x{% args a %}", "line 1: args is not at the beginning"),
    ):
        assert why in str(raises(ValueError, Template, page))
    raises(ValueError, Template, "{{ a b }}")


def test_includes():
    parts = {
        "row": Template("{% args value %}<td>{{ value }}"),
        "rule": Template("<hr>"),
    }
    page = Template(
        "{% for x in xs %}{% include 'row' value=x %}{% endfor %}{% include \"rule\" %}",
        parts.get,
    )
    assert text(page, xs=[1, "<"]) == "<td>1<td>&lt;<hr>"
    raises(ValueError, text, Template("{% include 'x' %}"))


class Module:
    """What a module that was frozen would have."""


def test_a_module_is_a_template():
    module = Module()
    names = {}
    exec(source("{% args a %}<b>{{ a }}</b>"), names)
    module.render = names["render"]
    assert text(Template(module), a="&") == "<b>&amp;</b>"


async def test_pages_stream():
    made = []

    def numbers():
        for n in range(300):
            made.append(n)
            yield n

    page = Template("{% for n in xs %}<li>{{ n }}{% endfor %}")
    blocks = iter(page(xs=numbers()))
    first = next(blocks)
    assert BLOCK <= len(first) < BLOCK + 10 and len(made) < 100
    assert (bytes(first) + b"".join([bytes(b) for b in blocks])).count(b"<li>") == 300
    try:
        os.mkdir("templates_of_test")
    except OSError:
        pass
    with open("templates_of_test/list.htm", "w") as file:
        file.write("{% for n in xs %}<li>{{ n }}{% endfor %}")
    templates = Templates("templates_of_test")
    app = Application()

    @app.get("/")
    def index(request):
        return templates.render("list.htm", xs=range(300))

    @app.get("/bad")
    def bad(request):
        return templates.render("list.htm")

    @app.get("/none")
    def none(request):
        return templates.render("nothing.htm")

    answer = await TestClient(app).get("/")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["transfer-encoding"] == "chunked"
    assert answer.text.count("<li>") == 300 and answer.text.endswith("<li>299")
    for path in ("/bad", "/none"):
        assert (await TestClient(app).get(path)).status == 500
    os.remove("templates_of_test/list.htm")
    os.rmdir("templates_of_test")
