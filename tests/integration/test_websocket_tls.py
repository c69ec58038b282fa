"""wss:// both ways, with Python's `websockets` as the peer and certificates made on the spot."""

import asyncio
import contextlib
import os
import socket
import ssl
import subprocess

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

from support import free_port, program

MESSAGES = ["text", "", b"\x00\xff", "größer 🙂", "x" * 70_000, os.urandom(200_000)]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """A folder with key.pem, cert.pem for localhost and 127.0.0.1, the same in DER, and
    other.pem/other.der, a certificate of somebody else."""
    folder = tmp_path_factory.mktemp("certificates")

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    for name in ("cert", "other"):
        openssl(
            *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
            *("-nodes", "-keyout", f"{name}.key.pem", "-out", f"{name}.pem", "-days", "2"),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
        )
        openssl("x509", "-in", f"{name}.pem", "-outform", "DER", "-out", f"{name}.der")
        openssl("ec", "-in", f"{name}.key.pem", "-outform", "DER", "-out", f"{name}.key.der")
    return folder


SERVER = program("tls_server")

# Connects to argv[1], trusting the certificate in argv[2] ("" for none); argv[3]: the name that
# the server's certificate must have, if not that of the URI.
CLIENT = program("tls_client")


@pytest.fixture
def port(micropython, certificates):
    port = free_port()
    micropython(SERVER, str(port), str(certificates)).wait_line("serving")
    return port


def client_context(certificates):
    return ssl.create_default_context(cafile=certificates / "cert.pem")


def server_context(certificates, name="cert"):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / f"{name}.pem", certificates / f"{name}.key.pem")
    return context


async def test_server_echoes(port, certificates):
    uri = f"wss://localhost:{port}/"
    async with connect(uri, ssl=client_context(certificates), max_size=None) as client:
        for message in MESSAGES:
            await client.send(message)
            assert await client.recv() == message


async def test_server_serves_several_clients_at_once(port, certificates):
    async def run(number):
        uri = f"wss://127.0.0.1:{port}/"
        async with connect(uri, ssl=client_context(certificates)) as client:
            for count in range(10):
                await client.send(f"{number} {count} " + "x" * 5000)
                assert (await client.recv()).startswith(f"{number} {count} ")

    await asyncio.gather(*[run(number) for number in range(5)])


async def test_server_survives_clients_that_do_not_speak_tls(port, certificates):
    with socket.create_connection(("127.0.0.1", port)) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        plain.settimeout(10)
        with contextlib.suppress(ConnectionResetError):
            while plain.recv(100):  # an alert, then the end
                pass
    silent = socket.create_connection(("127.0.0.1", port))
    with pytest.raises(ssl.SSLCertVerificationError):
        await connect(f"wss://localhost:{port}/")
    await test_server_echoes(port, certificates)
    silent.settimeout(20)
    assert silent.recv(1) == b""  # its opening took too long
    silent.close()


async def run_client(micropython, uri, *arguments):
    script = micropython(CLIENT, uri, *map(str, arguments))
    assert await asyncio.to_thread(script.wait) == 0, script.log()
    return script.lines


async def test_client_echoes_and_names_the_host(micropython, certificates):
    names = []
    context = server_context(certificates)
    context.sni_callback = lambda sock, name, context: names.append(name)

    async def handler(websocket):
        for message in MESSAGES:
            await websocket.send(message)
            assert await websocket.recv() == message

    async with serve(handler, "127.0.0.1", 0, ssl=context, max_size=None) as server:
        uri = f"wss://localhost:{server.sockets[0].getsockname()[1]}/"
        lines = await run_client(micropython, uri, certificates / "cert.der")
    assert lines == ["connected", "closed 1000"]
    assert names == ["localhost"]


@pytest.mark.parametrize(
    ("trusted", "hostname", "reason"),
    [
        ("other.der", "localhost", "not correctly signed by the trusted CA"),
        ("cert.der", "elsewhere", "does not match with the expected CN"),
        ("", "localhost", "ValueError wss:// needs ssl="),
    ],
)
async def test_client_verifies_the_certificate(
    micropython, certificates, trusted, hostname, reason
):
    async def handler(websocket):
        raise AssertionError("connected")

    context = server_context(certificates)
    async with serve(handler, "127.0.0.1", 0, ssl=context) as server:
        uri = f"wss://localhost:{server.sockets[0].getsockname()[1]}/"
        path = trusted and certificates / trusted
        (line,) = await run_client(micropython, uri, path, hostname)
    assert reason in line


async def test_client_of_a_server_without_tls(micropython, certificates):
    async def handler(websocket):
        raise AssertionError("connected")

    async with serve(handler, "127.0.0.1", 0) as server:
        uri = f"wss://localhost:{server.sockets[0].getsockname()[1]}/"
        (line,) = await run_client(micropython, uri, certificates / "cert.der")
    assert "TLS: " in line


async def test_client_does_not_follow_from_wss_to_ws(micropython, certificates):
    def process(connection, request):
        response = connection.respond(302, "")
        response.headers["Location"] = "ws://localhost:1/"
        return response

    context = server_context(certificates)
    options = {"ssl": context, "process_request": process}
    async with serve(lambda websocket: None, "127.0.0.1", 0, **options) as server:
        uri = f"wss://localhost:{server.sockets[0].getsockname()[1]}/"
        lines = await run_client(micropython, uri, certificates / "cert.der")
    assert lines == ["SecurityError redirect from wss to ws"]


async def test_lost_connection_is_noticed(port, certificates):
    client = await connect(f"wss://localhost:{port}/", ssl=client_context(certificates))
    await client.send("x")
    await client.recv()
    client.transport.abort()
    with pytest.raises(ConnectionClosed):
        await client.recv()
    await test_server_echoes(port, certificates)
