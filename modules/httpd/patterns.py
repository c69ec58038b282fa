"""Paths with parameters: `/pumps/<int:number>/files/<path:name>`."""


def compile(path):
    """What `match` compares with.

    A parameter is a whole segment:

        <name>          any text, not empty
        <int:name>      a whole number, which the handler gets as int
        <path:name>     the rest of the path with its slashes; also nothing
        <re:...:name>   what a regular expression without "/" matches as a whole

    Returns:
        A list with a str for each literal segment, and (type, name, expression) for the others.

    Raises:
        ValueError: a parameter of another form, the same name twice, or segments after a path.
    """
    pattern = []
    names = set()
    for segment in path.split("/")[1:]:
        if pattern and pattern[-1][0] == "path":
            raise ValueError("nothing can follow a path: " + path)
        if "<" not in segment and ">" not in segment:
            pattern.append(segment)
            continue
        if not (segment.startswith("<") and segment.endswith(">")):
            raise ValueError("a parameter is a whole segment: " + path)
        kind, _, name = segment[1:-1].rpartition(":")
        expression = None
        if kind.startswith("re:"):
            import re

            try:
                expression = re.compile("^(" + kind[3:] + ")$")
            except ValueError:
                raise ValueError("no regular expression: " + segment)
            kind = "re"
        elif kind not in ("", "int", "path"):
            raise ValueError("a parameter of an unknown type: " + segment)
        if not _is_name(name) or name in names:
            raise ValueError("a parameter needs a name of its own: " + segment)
        names.add(name)
        pattern.append((kind, name, expression))
    return pattern


def match(pattern, parts):
    """The parameters of a path as a dict, None when it isn't one of the pattern's.

    Args:
        pattern: what `compile` gives.
        parts: the segments of the path.
    """
    parameters = {}
    for i, segment in enumerate(pattern):
        if i >= len(parts):
            return None
        part = parts[i]
        if isinstance(segment, str):
            if segment != part:
                return None
            continue
        kind, name, expression = segment
        if kind == "path":
            parameters[name] = "/".join(parts[i:])
            return parameters
        if not part:
            return None
        if kind == "int":
            part = _int(part)
            if part is None:
                return None
        elif expression is not None and not expression.match(part):
            return None
        parameters[name] = part
    return parameters if len(parts) == len(pattern) else None


def _int(text):
    digits = text[1:] if text.startswith("-") else text
    # int() would also take blanks, underscores and digits of other scripts.
    if not 0 < len(digits) <= 18 or not all(["0" <= c <= "9" for c in digits]):
        return None
    return int(text)


def _is_name(text):
    good = [c == "_" or c.isalpha() or c.isdigit() for c in text]
    return bool(text) and not text[0].isdigit() and all(good)
