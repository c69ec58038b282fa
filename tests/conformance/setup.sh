#!/bin/sh
# Make the Autobahn WebSocket test suite run on Python 3: DIR/venv/bin/wstest.
#
#   setup.sh DIR
#
# The suite is published as Python 2 source only. This takes it from PyPI, converts it with lib2to3
# (part of Python up to 3.12) and repairs what lib2to3 can't know. Does nothing when DIR is up to
# date. PYTHON names the interpreter to use: 3.11 or 3.12.
set -eu
T=$1
PYTHON=${PYTHON:-python3}
pin() {
    "$PYTHON" -c 'import sys, tomllib
with open(sys.argv[1], "rb") as file: print(tomllib.load(file)["autobahn"][sys.argv[2]])' \
        "$(dirname "$0")/../../ci/versions.toml" "$1"
}
SUITE=$(pin suite)
AUTOBAHN=$(pin autobahn)
TWISTED=$(pin twisted)
STAMP="suite=$SUITE autobahn=$AUTOBAHN twisted=$TWISTED fixes=$(cksum <"$0" | tr ' ' -)"
mkdir -p "$T"
# One at a time: several tests may ask for it at once.
exec 9>"$T/lock"
flock 9
if [ -x "$T/venv/bin/wstest" ] && [ "$(cat "$T/venv/.wstest-stamp" 2>/dev/null)" = "$STAMP" ]; then
    exit 0
fi
if ! "$PYTHON" -W ignore -c 'import lib2to3' 2>/dev/null; then
    echo "conformance: $PYTHON has no lib2to3; set PYTHON to Python 3.11 or 3.12" >&2
    exit 2
fi
echo "conformance: setting up the Autobahn suite in $T"
PY=$T/venv/bin/python
[ -x "$PY" ] || "$PYTHON" -m venv "$T/venv"
# The suite imports pkg_resources, which setuptools 81 dropped.
"$PY" -m pip install -q --disable-pip-version-check \
    "autobahn==$AUTOBAHN" "twisted==$TWISTED" 'setuptools<81' wheel

W=$(mktemp -d); trap 'rm -rf "$W"' EXIT
# Installing it would compile Python 2 source: take the source alone.
"$PY" -m pip download -q --disable-pip-version-check --no-deps --no-binary :all: \
    --no-build-isolation -d "$W" "autobahntestsuite==$SUITE"
tar -xzf "$W/autobahntestsuite-$SUITE.tar.gz" -C "$W"
S=$W/autobahntestsuite-$SUITE/autobahntestsuite
# What fuzzingclient and fuzzingserver don't use: WAMP, wsperf, the database.
rm -rf "$S"/wamp*.py "$S"/wsperf*.py "$S"/testdb.py "$S"/testrun.py "$S"/serializer.py \
       "$S"/rinterfaces.py "$S"/wampcase "$S"/tests
"$PY" -W ignore -m lib2to3 -w -n --no-diffs "$S" >"$W/2to3.log" 2>&1 || { cat "$W/2to3.log"; exit 1; }

# The cases write payloads as str literals that mean bytes. They stay so, one character per byte
# (Latin-1), and are converted where they meet autobahn: _b() when sent, _s() when received.
cat > "$S/_py3.py" <<'EOF'
import binascii as _binascii
def _b(x):
    return x.encode('latin-1') if isinstance(x, str) else x
def _s(x):
    return bytes(x).decode('latin-1') if isinstance(x, (bytes, bytearray, memoryview)) else x
def b2a_hex(x):
    return _binascii.b2a_hex(_b(x)).decode('ascii')
hexlify = b2a_hex
EOF
cat > "$W/fix.py" <<'EOF'
import glob, os, re, sys
S = sys.argv[1]
def edit(name, *subs):
    """subs: (old, new) exact text, every one must occur."""
    p = os.path.join(S, name)
    t = open(p, encoding='utf-8').read()
    for old, new in subs:
        if old not in t:
            sys.exit('%s: text to fix not found: %r' % (name, old))
        t = t.replace(old, new)
    open(p, 'w', encoding='utf-8').write(t)
def edit_re(names, pat, new, least=1):
    n = 0
    for p in names:
        t = open(p, encoding='utf-8').read()
        t, k = re.subn(pat, new, t, flags=re.M)
        n += k
        if k:
            open(p, 'w', encoding='utf-8').write(t)
    if n < least:
        sys.exit('pattern found %d times, wanted %d: %s' % (n, least, pat))
cases = glob.glob(S + '/case/*.py')
top = glob.glob(S + '/*.py')

# hex dumps of str payloads
edit_re(cases, r'^import binascii$', 'from autobahntestsuite import _py3 as binascii')
# (object, Case) has no consistent MRO with new-style classes
edit_re(cases, r'\(object, Case, ?\)', '(Case, )', 6)
# autobahn dropped the debug arguments
edit_re(top, r', debug ?= ?debug, debugCodePaths ?= ?debug', '', 5)

# pickles also compare identities (memo), values are what is meant
edit('case/case.py', ('pickle.dumps(obj1) == pickle.dumps(obj2)', 'obj1 == obj2'))
# utf-8 literals: the bytes of the source file are meant
edit_re(glob.glob(S + '/case/case6_2_[123].py'), r'^(   PAYLOAD[12]? = "Hello[^"]*"|   PAYLOAD2 = "[^"]*")$',
        r'\1.encode("utf-8").decode("latin-1")', 4)
edit('case/case6_x_x.py', ('res = v.validate(vss[:i])', 'res = v.validate(binascii._b(vss[:i]))'))
# jinja2 is only for the database reports
edit('report.py', ('import jinja2\n', ''))
edit('caseset.py', ("'\\.'", "r'\\.'"))
edit('case/case10_1_1.py', ('len(self.payload) / self.p', 'len(self.payload) // self.p'))
edit('case/case9_9_1.py',
     ('from zope.interface import implements\n', 'from zope.interface import implementer\n'),
     ('class FrameProducer:\n\n   implements(interfaces.IPushProducer)\n',
      '@implementer(interfaces.IPushProducer)\nclass FrameProducer:\n'))
edit('case/case12_x_x.py',
     ('import copy, os, pkg_resources, hashlib, binascii',
      'import copy, os, pkg_resources, hashlib\nfrom autobahntestsuite import _py3 as binascii'),
     ('def onMessage(self, msg, binary):\n',
      'def onMessage(self, msg, binary):\n   msg = binascii._b(msg)\n'),
     # argument and attribute names of autobahn.websocket.compress
     ('acceptNoContextTakeover', 'accept_no_context_takeover'),
     ('acceptMaxWindowBits', 'accept_max_window_bits'),
     ('requestNoContextTakeover', 'request_no_context_takeover'),
     ('requestMaxWindowBits', 'request_max_window_bits'))

edit('wstest.py', ("            'massconnect',\n            #'web',", "            'massconnect'\n            #'web',"),
     ("            'serializer'\n", ''))
edit_re([S + '/wstest.py'], r'^import serializer\n|^from \. import serializer\n', '')
edit_re([S + '/testee.py'], r'autobahn\.version', 'autobahn.__version__', 1)

edit('fuzzing.py',
     ('import os, json, binascii, time, textwrap, pkg_resources\n',
      'import os, json, time, textwrap, pkg_resources\n'
      'from autobahntestsuite import _py3 as binascii\n'
      'from autobahntestsuite._py3 import _b, _s\n'),
     # TLS only when pyOpenSSL is there
     ('from twisted.internet import reactor, ssl\n',
      'from twisted.internet import reactor\ntry:\n   from twisted.internet import ssl\nexcept ImportError:\n   ssl = None\n'),
     ('= ssl.ClientContextFactory()', '= ssl.ClientContextFactory() if ssl else None'),
     ('   ellipses = " ..."\n   try:\n', '   ellipses = b" ..."\n   data = _b(data)\n   try:\n'),
     ("p = ''.join(payload)", "p = b''.join(payload)"),
     ('self.failConnection()', 'self._fail_connection()'),
     ('self.runCase.onPong(payload)', 'self.runCase.onPong(_s(payload))'),
     ('self.runCase.onMessage(msg, binary)', 'self.runCase.onMessage(_s(msg), binary)'),
     ('if self.debug:', 'if self.factory.debug:'),
     # autobahn reads its tcpNoDelay option before it is set, so Nagle's algorithm stays on and
     # frames sent in small chops arrive glued together
     ('      self.caseStart = 0\n', '      self.transport.setTcpNoDelay(True)\n      self.caseStart = 0\n'),
     # a handshake that never completed leaves no agent name; None does not sort with str
     ('"agent": self.caseAgent,', '"agent": self.caseAgent or "UnknownServer",'),
     ('self.http_request_data if', '_s(self.http_request_data) if'),
     ('self.http_response_data if', '_s(self.http_response_data) if'),
     ('"localCloseReason": self.localCloseReason,',
      '"localCloseReason": self.localCloseReason.decode("utf8", "replace") if isinstance(self.localCloseReason, bytes) else self.localCloseReason,'),
     (".encode(\"utf-8\"))\n", ")\n"),
     ("ll.encode('utf8')", "ll"),
     ("), 'w')\n", "), 'w', encoding = 'utf-8')\n"),
     ("webdir.putChild('cwd'", "webdir.putChild(b'cwd'"),
     # stay on the loop-back interface unless the spec says otherwise
     ('listenWS(factory, sslContext)', 'listenWS(factory, sslContext, interface = spec.get("interface", "127.0.0.1"))'),
     ('reactor.listenSSL(webport, web, sslContext)', 'reactor.listenSSL(webport, web, sslContext, interface = spec.get("interface", "127.0.0.1"))'),
     ('reactor.listenTCP(webport, web)', 'reactor.listenTCP(webport, web, interface = spec.get("interface", "127.0.0.1"))'),
     ('      # needed for wire log / stats\n', '      self.debug = debug\n      # needed for wire log / stats\n'),
     # payload border, and autobahn 0.10 semantics (send after close is ignored)
     ('   MAX_WIRE_LOG_DATA = 256\n', '''   MAX_WIRE_LOG_DATA = 256

   def sendFrame(self, opcode, payload = b"", *args, **kwargs):
      return super().sendFrame(opcode, _b(payload), *args, **kwargs)

   def sendMessage(self, payload, isBinary = False, *args, **kwargs):
      if self.state == WebSocketProtocol.STATE_OPEN:
         return super().sendMessage(_b(payload), bool(isBinary), *args, **kwargs)

   def sendMessageFrameData(self, payload, sync = False):
      return super().sendMessageFrameData(_b(payload), sync)

   def sendMessageFrame(self, payload, sync = False):
      return super().sendMessageFrame(_b(payload), sync)

   def sendCloseFrame(self, code = None, reasonUtf8 = None, isReply = False):
      return super().sendCloseFrame(code = code, reasonUtf8 = _b(reasonUtf8), isReply = isReply)
'''))
EOF
"$PY" "$W/fix.py" "$S"
SITE=$("$PY" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
rm -rf "$SITE/autobahntestsuite"
cp -r "$S" "$SITE/autobahntestsuite"
"$PY" -W ignore -m compileall -q "$SITE/autobahntestsuite" >"$W/compile.log" 2>&1 || { cat "$W/compile.log"; exit 1; }
cat > "$T/venv/bin/wstest" <<EOF
#!/bin/sh
exec "$PY" -W ignore -m autobahntestsuite.wstest "\$@"
EOF
chmod +x "$T/venv/bin/wstest"
"$T/venv/bin/wstest" -a
echo "$STAMP" > "$T/venv/.wstest-stamp"
