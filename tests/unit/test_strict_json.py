"""strict_json: the grammar, its depth, and texts that are Unicode."""

from strict_json import loads


def test_json_of_any_character_and_bounded_depth():
    for text, value in (
        (' { "a" : [ -0.5e+1 , true,false ,null ] } ', {"a": [-5, True, False, None]}),
        ("[{}, [] , { }]", [{}, [], {}]),
        ('"\\"\\\\\\/\\b\\f\\n\\r\\t\\u0000"', '"\\/\b\f\n\r\t\0'),
        ('"\x7f\u20ac\ud7ff\ue000\U0010ffff"', "\x7f\u20ac\ud7ff\ue000\U0010ffff"),
        ('["\\ud83d\\ude42"]', ["🙂"]),
        ('["a\\ud83d\\ude42b\\ud83d\\ude42"]', ["a🙂b🙂"]),
        ('["\\\\ud83d\\\\ude42"]', ["\\ud83d\\ude42"]),
        ('["\\u00e9\\"[[[[[[[[[["]', ['é"[[[[[[[[[[']),
        ('["\\n\\ud83d\\ude42\\t"]', ["\n🙂\t"]),
        ('{"a": [[[[[[[1]]]]]]]}', {"a": [[[[[[[1]]]]]]]}),
    ):
        assert loads(text) == value, text
    for text in ("[" * 9 + "]" * 9, "[" * 4096, '{"a":' * 9 + "1" + "}" * 9):
        try:
            loads(text)
        except ValueError as error:
            assert "levels" in str(error)
        else:
            raise AssertionError(text)


def refuses(reason, texts):
    for text in texts:
        try:
            loads(text)
        except ValueError as error:
            assert str(error) == reason, (text, error)
        else:
            raise AssertionError(text)


def test_json_is_strict():
    refuses(
        "malformed JSON",
        ("", " ", "[", "]", "[}", "{]", "[1] 2", "1,2", '"a', '"a\\', '["\\ud83d', '"\\u12')
        + ('["a" "b"]', "[1 2]", "[1,]", "[,]", "[,1]", "[1,,2]", "[:]", "[1:2]", ",", ":")
        + ('{"a"}', '{"a":}', '{"a" 1}', '{"a":1,}', '{"a":1 "b":2}', '{"a":1:2}', '{"a",1}')
        + ("{1:2}", "{null:1}", "{[]:1}", "{true:1}", '{"a":{1:2}}')
        + ('"\t"', '"\\q"', '"\\u12g4"', '"\\u+123"', "'a'")
        + ("01", "-", "+1", ".5", "1.", "1.e1", "1e", "1e+", "--1", "0x1", "1_0", "1a")
        + ("True", "tru", "nul", "nulll", "NaN", "Infinity", "-Infinity", "undefined"),
    )


def test_json_is_unicode():
    refuses(
        "a text that is not Unicode",
        ('"\\ud800"', '"\\udc00"', '"\\ud800\\n"', '"\\ud800\\ud800\\udc00"', '"a\\udc00\\ud800"')
        + ('{"\\udfff": 1}', '["\\ud83d\\u0041"]', '["\\ud83d"]'),
    )
    # MicroPython's decoder lets these pass (RFC 3629 section 4 does not).
    for octets in (b"\xed\xa0\x80", b"\xc0\x80", b"\xe0\x80\x80", b"\xf0\x80\x80\x80"):
        refuses("a text that is not Unicode", ['"' + str(octets, "utf-8") + '"'])
    for octets in (b"\xf4\x90\x80\x80", b"\xf5\x80\x80\x80"):
        refuses("a text that is not Unicode", ['"' + str(octets, "utf-8") + '"'])
