"""Templates that are compiled to generators, so that a page is sent while it is made.

The syntax is that of utemplate, and of Jinja where the two agree:

- `{{ expression }}`: its value, as HTML in which nothing of it is markup; `raw(text)` is markup
- `{% if ... %}`, `{% elif ... %}`, `{% else %}`, `{% endif %}`; `{% for x in ... %}` and
  `{% while ... %}` until `{% endfor %}` and `{% endwhile %}`; `{% set x = ... %}`
- `{% include "name" %}` or `{% include "name" x=1, y=2 %}`: another template, with these values
- `{% args title, items=() %}`, at the beginning: what has to be given, and what else may be
- `{# ... #}`: nothing

Expressions are Python. As a program of CPython, `templates.py FILE` prints the module that a
template with `args` compiles to, for an image to freeze: `Template(module)` takes that too.
"""

# Bytes of a page that are sent at a time: a chunk of the size of a value would be a segment each.
BLOCK = 512

_ESCAPES = (
    ("&", "&amp;"),
    ("<", "&lt;"),
    (">", "&gt;"),
    ('"', "&quot;"),
    ("'", "&#39;"),
)

# Statements, and whether another must be open before them.
_BEGIN = ("if", "for", "while")
_MIDDLE = {"elif": "if", "else": "if"}


class raw:
    """Text that is markup already."""

    def __init__(self, text):
        self.text = text


def escape(value):
    """A value as HTML, str; None is nothing."""
    if isinstance(value, raw):
        return value.text
    if value is None:
        return ""
    text = value if isinstance(value, str) else str(value)
    for character, entity in _ESCAPES:
        if character in text:
            text = text.replace(character, entity)
    return text


def source(text):
    """The Python source of a module whose `render` gives a template's pieces.

    Raises:
        ValueError: a tag isn't closed, known or in its place; the text has the line.
    """
    lines = []
    opened = []
    signature = "escape, raw, include"
    at = 0
    while at < len(text):
        start, kind = _next_tag(text, at)
        if start > at:
            lines.append(_indent(opened) + "yield " + repr(text[at:start]))
        if kind is None:
            break
        line = text[:start].count("\n") + 1
        closing = "}}" if kind == "{{" else kind[1] + "}"
        end = text.find(closing, start + 2)
        if end < 0:
            raise ValueError(f"line {line}: {kind} without {closing}")
        inside = text[start + 2 : end].strip()
        at = end + 2
        if kind == "{{":
            lines.append(_indent(opened) + f"yield escape({inside})")
        elif kind == "{%":
            word, _, rest = inside.partition(" ")
            if word == "args":
                if lines or opened:
                    raise ValueError(f"line {line}: args is not at the beginning")
                signature += ", *, " + rest.strip()
            else:
                _statement(word, rest.strip(), line, lines, opened)
            # A line with nothing but a statement leaves no empty line.
            if text[at : at + 1] == "\n":
                at += 1
    if opened:
        word, line = opened[-1]
        raise ValueError(f"line {line}: {word} without end{word}")
    # Without a piece it would be no generator.
    body = "\n".join(lines + ['    yield ""'])
    return f"def render({signature}):\n{body}\n"


def _next_tag(text, at):
    # (offset, kind) of the first tag from `at` on; kind is None when there is none.
    best, kind = len(text), None
    for tag in ("{{", "{%", "{#"):
        found = text.find(tag, at)
        if 0 <= found < best:
            best, kind = found, tag
    return best, kind


def _indent(opened):
    return "    " * (len(opened) + 1)


def _statement(word, rest, line, lines, opened):
    if word in _BEGIN:
        lines.append(_indent(opened) + f"{word} {rest}:")
        opened.append((word, line))
        # A block with nothing in it.
        lines.append(_indent(opened) + "pass")
    elif word in _MIDDLE:
        if not opened or opened[-1][0] != _MIDDLE[word]:
            raise ValueError(f"line {line}: {word} without {_MIDDLE[word]}")
        lines.append(_indent(opened[:-1]) + f"{word} {rest}".strip() + ":")
        lines.append(_indent(opened) + "pass")
    elif word[:3] == "end" and word[3:] in _BEGIN:
        if not opened or opened[-1][0] != word[3:]:
            raise ValueError(f"line {line}: {word} without {word[3:]}")
        opened.pop()
    elif word == "set":
        lines.append(_indent(opened) + rest)
    elif word == "include":
        quote = rest[:1]
        stop = rest.find(quote, 1) + 1 if quote in ("'", '"') else 0
        if not stop:
            raise ValueError(f"line {line}: include wants a name in quotes")
        given = rest[stop:].strip().lstrip(",")
        lines.append(_indent(opened) + f"yield from include({rest[:stop]}, dict({given}))")
    else:
        raise ValueError(f"line {line}: unknown statement {word}")


class Template:
    """A compiled template: call it with its values for an iterator of the page's bytes.

    Args:
        text: the template; or the module that one was compiled to.
        include: called with a name, gives another `Template`.

    Raises:
        ValueError: it can't be compiled.
    """

    def __init__(self, text, include=None):
        self._include = include
        self._render = self._code = None
        if not isinstance(text, str):
            self._render = text.render
            return
        python = source(text)
        try:
            self._code = compile(python, "template", "exec")
        except SyntaxError as error:
            raise ValueError("a template's expression is no Python: " + str(error))
        if "*, " in python.partition("\n")[0]:
            # With `args`, its names are parameters and not what each page's module has.
            self._render = _defined(self._code, {})

    def pieces(self, values):
        """An iterator of texts: what the page is made of, with these values, a dict.

        Raises:
            TypeError: one that `args` names isn't there, or one too many.
        """
        if self._render is None:
            return _defined(self._code, dict(values))(escape, raw, self._included)
        return self._render(escape, raw, self._included, **values)

    def _included(self, name, values):
        if self._include is None:
            raise ValueError("there is nothing to include: " + name)
        return self._include(name).pieces(values)

    def __call__(self, **values):
        return _Page(self.pieces(values))


def _defined(code, names):
    exec(code, names)
    return names["render"]


class _Page:
    # The texts in blocks of bytes. No generator, so that a plain handler's page needs no task.

    def __init__(self, pieces):
        self._pieces = pieces

    def __iter__(self):
        return self

    def __next__(self):
        block = bytearray()
        while len(block) < BLOCK:
            piece = next(self._pieces, None)
            if piece is None:
                break
            block.extend(piece.encode())
        if not block:
            raise StopIteration
        return block

    def close(self):
        """End what makes the page."""
        self._pieces.close()


class Templates:
    """The templates in a folder.

    Args:
        folder: its path.
    """

    def __init__(self, folder):
        self._folder = folder
        self._known = {}

    def get(self, name):
        """The `Template` in a file, compiled once.

        Raises:
            OSError: there is no such file.
            ValueError: it can't be compiled.
        """
        template = self._known.get(name)
        if template is None:
            with open(self._folder + "/" + name) as file:
                template = self._known[name] = Template(file.read(), self.get)
        return template

    def render(self, name, **values):
        """The `Response` with a page, text/html."""
        from .response import Response

        return Response(self.get(name)(**values), content_type="text/html; charset=utf-8")


if __name__ == "__main__":
    import sys

    with open(sys.argv[1]) as file:
        print(source(file.read()), end="")
