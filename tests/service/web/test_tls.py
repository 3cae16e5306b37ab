"""Both ports speak TLS where a certificate is named, and ask clients for theirs where an authority is."""

from __future__ import annotations

import datetime
import ipaddress
import select
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import grpc
import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from core.errors.base import InvalidField
from hypnogram.client import CallFailed, Client
from service.cli.output import UsageProblem, channel_credentials
from service.settings import Settings
from service.terminal import tls_probe
from service.terminal.tls_probe import speaks_tls, why_distrusted, why_refused
from service.web.connections import LINGERS
from store.database.tokens import Tokens
from tests.patience import PATIENCE, eventually
from tests.service.cli.test_commands import Shell
from tests.service.conftest import Running, run_server, settings_in
from tests.service.web.conftest import with_http

HERE = ipaddress.ip_address("127.0.0.1")


@dataclass
class Files:
    """An authority, and certificates that it signed for a server and for a client, each with its key."""

    authority: Path
    certificate: Path
    key: Path
    client_certificate: Path
    client_key: Path


def signed(
    folder: Path,
    name: str,
    issuer: tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None,
    days: tuple[int, int] = (-1, 1),
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """A certificate for 127.0.0.1 and its key, written into `folder`; without `issuer` that of an authority.

    Args:
        days: from when and until when it is valid, counted from now.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(subject).public_key(key.public_key())
    builder = builder.issuer_name(issuer[0].subject if issuer else subject).serial_number(x509.random_serial_number())
    begin, end = (now + datetime.timedelta(day) for day in days)
    builder = builder.not_valid_before(begin).not_valid_after(end)
    builder = builder.add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.IPAddress(HERE)]), critical=False)
    certificate = builder.sign(issuer[1] if issuer else key, hashes.SHA256())
    (folder / f"{name}.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    kinds = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / f"{name}.key").write_bytes(key.private_bytes(*kinds))
    return certificate, key


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("certificates")
    authority = signed(folder, "authority", None)
    signed(folder, "server", authority)
    signed(folder, "client", authority)
    signed(folder, "expired", authority, days=(-2, -1))
    signed(folder, "early", authority, days=(1, 2))
    signed(folder, "stranger", None)
    names = ("authority.pem", "server.pem", "server.key", "client.pem", "client.key")
    return Files(*(folder / name for name in names))


@pytest.fixture
def secret(settings: Settings, files: Files) -> Iterator[Running]:
    with run_server(with_http(settings, tls_certificate=files.certificate, tls_key=files.key)) as running:
        yield running


def trusting(files: Files, *, shown: bool = False) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=files.authority)
    if shown:
        context.load_cert_chain(files.client_certificate, files.client_key)
    return context


def up(address: str, credentials: grpc.ChannelCredentials | None) -> bool:
    with Client(address, credentials=credentials) as client:
        try:
            list(client.memories())
        except CallFailed:
            return False
    return True


def test_both_ports_speak_tls(secret: Running, files: Files) -> None:
    assert secret.http.startswith("https://")
    assert httpx.get(f"{secret.http}/v1/models", verify=trusting(files)).status_code == 200
    assert up(secret.address, channel_credentials(Settings(server_ca=files.authority)))


def test_the_cookie_of_a_browser_is_sent_over_tls_alone(secret: Running, files: Files) -> None:
    _, token = Tokens(secret.store.log.engine).create(actor="", memory="*", may="read")

    signed_in = httpx.post(f"{secret.http}/sign-in", data={"token": token}, verify=trusting(files))

    assert signed_in.status_code == 303
    assert "secure" in signed_in.headers["set-cookie"].lower()


def test_neither_port_speaks_anything_else(secret: Running, files: Files) -> None:
    with pytest.raises(httpx.TransportError):
        httpx.get(f"{secret.http.replace('https', 'http')}/v1/models")
    with pytest.raises(httpx.ConnectError):  # the authority is not a known one
        httpx.get(f"{secret.http}/v1/models")
    assert not up(secret.address, None)


def test_clients_show_a_certificate_where_they_have_to(settings: Settings, files: Files) -> None:
    given = {"tls_certificate": files.certificate, "tls_key": files.key, "tls_client_ca": files.authority}
    trusted = Settings(server_ca=files.authority)
    shown = {"client_certificate": files.client_certificate, "client_key": files.client_key}
    with run_server(with_http(settings, **given)) as running:
        with pytest.raises(httpx.TransportError):
            httpx.get(f"{running.http}/v1/models", verify=trusting(files))
        assert httpx.get(f"{running.http}/v1/models", verify=trusting(files, shown=True)).status_code == 200
        assert not up(running.address, channel_credentials(trusted))
        assert up(running.address, channel_credentials(trusted.model_copy(update=shown)))


def test_files_that_do_not_fit_are_named(settings: Settings, files: Files, tmp_path: Path) -> None:
    for given, field in (
        ({"tls_certificate": files.certificate}, "tls_certificate"),
        ({"tls_key": files.key}, "tls_key"),
        ({"tls_client_ca": files.authority}, "tls_client_ca"),
        ({"tls_certificate": files.certificate, "tls_key": files.client_key}, "tls_certificate"),
        ({"tls_certificate": tmp_path / "none", "tls_key": files.key}, "tls_certificate"),
        (
            {"tls_certificate": files.certificate, "tls_key": files.key, "tls_client_ca": tmp_path / "none"},
            "tls_client_ca",
        ),
    ):
        with pytest.raises(InvalidField) as refused, run_server(settings.model_copy(update=given)):
            pass
        assert refused.value.field == field


def test_files_of_commands_that_do_not_fit_are_named(files: Files, tmp_path: Path) -> None:
    for given, named in (
        (Settings(client_key=files.client_key), "HYPNOGRAM_SERVER_CA"),
        (Settings(server_ca=files.authority, client_key=files.client_key), "HYPNOGRAM_CLIENT_CERTIFICATE"),
        (Settings(server_ca=tmp_path / "none"), "none cannot be read"),
    ):
        with pytest.raises(UsageProblem, match=named):
            channel_credentials(given)


@pytest.mark.parametrize("asked", [False, True])
def test_a_command_says_that_a_server_speaks_tls_or_not(
    settings: Settings, files: Files, asked: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    served = {} if asked else {"tls_certificate": files.certificate, "tls_key": files.key}
    if asked:
        monkeypatch.setenv("HYPNOGRAM_SERVER_CA", str(files.authority))
    shell = Shell(capsys, monkeypatch)
    monkeypatch.setenv("HYPNOGRAM_SERVER_SECONDS", str(PATIENCE))
    with run_server(settings.model_copy(update=served)) as running:
        status, _, err = shell.run("memory", "list", "--address", running.address)

    assert status == 1
    assert f"the server at {running.address} {'does not speak' if asked else 'speaks'} TLS" in err
    assert "HYPNOGRAM_SERVER_CA" in err
    assert "no server responds" not in err


@pytest.mark.parametrize(
    ("shown", "trusted", "host", "says"),
    [
        (
            "server",
            "stranger",
            "127.0.0.1",
            "no authority in {folder}/stranger.pem has signed; name the one that has with",
        ),
        ("expired", "authority", "127.0.0.1", "has expired"),
        ("early", "authority", "127.0.0.1", "is not valid yet"),
        ("server", "authority", "localhost", "is not for 'localhost'"),
        ("server", "server.key", "127.0.0.1", "server.key (HYPNOGRAM_SERVER_CA) is not a certificate in PEM"),
    ],
)
def test_a_command_says_why_a_certificate_is_not_to_be_trusted(
    settings: Settings,
    files: Files,
    shown: str,
    trusted: str,
    host: str,
    says: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = files.authority.parent
    authority = folder / trusted if "." in trusted else folder / f"{trusted}.pem"
    served = {"tls_certificate": folder / f"{shown}.pem", "tls_key": folder / f"{shown}.key"}
    monkeypatch.setenv("HYPNOGRAM_SERVER_CA", str(authority))
    shell = Shell(capsys, monkeypatch)
    monkeypatch.setenv("HYPNOGRAM_SERVER_SECONDS", str(PATIENCE))
    with run_server(settings.model_copy(update=served)) as running:
        address = running.address.replace("127.0.0.1", host)
        status, _, err = shell.run("memory", "list", "--address", address)
        monkeypatch.setenv("HYPNOGRAM_HOST", host)
        monkeypatch.setenv("HYPNOGRAM_PORT", address.rpartition(":")[2])
        up_status, _, up_err = shell.run("up")

    assert (status, up_status) == (1, 1)
    assert f"the server at {address} " in err
    assert up_err.splitlines()[-1] == err.splitlines()[-1]
    assert says.format(folder=folder) in err
    assert "no server responds" not in err


@pytest.mark.parametrize(
    ("shown", "says"),
    [
        (
            "",
            "name one that its authority has signed with HYPNOGRAM_CLIENT_CERTIFICATE",
        ),
        ("stranger", "does not accept the certificate in {folder}/stranger.pem (HYPNOGRAM_CLIENT_CERTIFICATE)"),
        ("expired", "does not accept the certificate in {folder}/expired.pem (HYPNOGRAM_CLIENT_CERTIFICATE)"),
        ("authority server", "are not a certificate and its key in PEM"),
    ],
)
def test_a_command_says_why_a_server_lets_no_client_with_its_certificate_in(
    settings: Settings,
    files: Files,
    shown: str,
    says: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # given a server that demands certificates of clients, and a command without one that it accepts
    folder = files.authority.parent
    served = {"tls_certificate": files.certificate, "tls_key": files.key, "tls_client_ca": files.authority}
    monkeypatch.setenv("HYPNOGRAM_SERVER_CA", str(files.authority))
    if shown:
        certificate, *_, key = shown.split() * 2
        monkeypatch.setenv("HYPNOGRAM_CLIENT_CERTIFICATE", str(folder / f"{certificate}.pem"))
        monkeypatch.setenv("HYPNOGRAM_CLIENT_KEY", str(folder / f"{key}.key"))
    shell = Shell(capsys, monkeypatch)
    monkeypatch.setenv("HYPNOGRAM_SERVER_SECONDS", str(PATIENCE))

    # when it calls that server, or `up` finds it running
    with run_server(settings.model_copy(update=served)) as running:
        status, _, err = shell.run("memory", "list", "--address", running.address)
        monkeypatch.setenv("HYPNOGRAM_PORT", running.address.rpartition(":")[2])
        up_status, _, up_err = shell.run("up")

    # then both say so in one line
    assert (status, up_status) == (1, 1)
    assert f"the server at {running.address} " in err
    assert up_err.splitlines()[-1] == err.splitlines()[-1]
    assert says.format(folder=folder) in err
    assert "no server responds" not in err


def test_a_client_with_a_certificate_is_let_in_and_nothing_is_said(settings: Settings, files: Files) -> None:
    served = {"tls_certificate": files.certificate, "tls_key": files.key, "tls_client_ca": files.authority}
    with run_server(settings.model_copy(update=served)) as running:
        assert why_refused(running.address, files.authority, files.client_certificate, files.client_key) == ""
        assert why_refused("127.0.0.1:1", files.authority, None, None) == ""


def test_a_certificate_that_is_trusted_by_itself_is_not_complained_of(secret: Running, files: Files) -> None:
    assert up(secret.address, channel_credentials(Settings(server_ca=files.certificate)))
    assert why_distrusted(secret.address, files.certificate) == ""
    assert why_distrusted("127.0.0.1:1", files.certificate) == ""


def test_nothing_is_said_of_tls_where_none_listens_or_responds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tls_probe, "PROBE_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        assert speaks_tls(address) is None
    assert speaks_tls(address) is None
    assert speaks_tls("nowhere") is None


LIMIT = 4
ASK = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
HTTP_AND_GRPC = pytest.mark.parametrize("port", ["http", "address"])


class Handshake:
    """A client's side of a handshake, of which each message is sent by hand."""

    def __init__(self, files: Files) -> None:
        self.reads, self._writes = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = trusting(files)
        context.set_alpn_protocols(["h2", "http/1.1"])
        self.tls = context.wrap_bio(self.reads, self._writes, server_hostname=str(HERE))

    def says(self) -> bytes:
        """Goes as far as it can, and returns what is to be sent."""
        with suppress(ssl.SSLWantReadError):
            self.tls.do_handshake()
        return self._writes.read()

    @property
    def half(self) -> bytes:
        return self.says()[:100]


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory, files: Files) -> Iterator[Running]:
    """A server that gives handshakes an hour, and whose ports hold few connections."""
    with run_server(speaking_tls(settings_in(tmp_path_factory.mktemp("patient")), files, 3600)) as running:
        yield running


def speaking_tls(settings: Settings, files: Files, request_seconds: float) -> Settings:
    given = {"tls_certificate": files.certificate, "tls_key": files.key}
    return with_http(settings, **given, request_seconds=request_seconds, max_connections=LIMIT)


def opened(server: Running, port: str, says: bytes = b"") -> socket.socket:
    host, _, number = getattr(server, port).removeprefix("https://").rpartition(":")
    connection = socket.create_connection((host, int(number)), PATIENCE)
    connection.sendall(says)
    return connection


def status_of(server: Running, files: Files) -> int:
    """The status of a request, 0 where the server closes its connection."""
    try:
        return httpx.get(f"{server.http}/livez", verify=trusting(files), timeout=PATIENCE).status_code
    except httpx.TransportError:
        return 0


def is_closed(connection: socket.socket, seconds: float = PATIENCE) -> bool:
    """Whether the server closes the connection, and says nothing before."""
    if not select.select([connection], [], [], seconds)[0]:
        return False
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


@HTTP_AND_GRPC
@pytest.mark.parametrize("sent", [0, 100], ids=["silent", "half"])
def test_a_handshake_that_stalls_is_ended_in_the_time_of_a_request(
    settings: Settings, files: Files, patient: Running, port: str, sent: int
) -> None:
    with (
        run_server(speaking_tls(settings, files, 0.3)) as brief,
        opened(patient, port, Handshake(files).says()[:sent]) as before,
        opened(brief, port, Handshake(files).says()[:sent]) as stalls,
    ):
        assert is_closed(stalls)
        assert not is_closed(before, 0), "which stalled before it, where handshakes have more time"
        assert status_of(brief, files) == 200


def test_handshakes_that_stall_are_among_the_connections_of_the_http_port(patient: Running, files: Files) -> None:
    with ExitStack() as stack:
        stalled = [stack.enter_context(opened(patient, "http", Handshake(files).half)) for _ in range(LIMIT)]
        eventually(lambda: status_of(patient, files) == 503)

        beyond = [stack.enter_context(opened(patient, "http", Handshake(files).half)) for _ in range(LINGERS + 10)]
        assert all(is_closed(connection) for connection in beyond), "also those that do not speak TLS to be refused"
        assert not any(is_closed(connection, 0) for connection in stalled)

    eventually(lambda: status_of(patient, files) == 200)


def test_handshakes_that_stall_are_among_the_connections_of_the_grpc_port(patient: Running, files: Files) -> None:
    credentials = channel_credentials(Settings(server_ca=files.authority))
    with ExitStack() as stack:
        for _ in range(LIMIT):
            stack.enter_context(opened(patient, "address", Handshake(files).half))
        eventually(lambda: not up(patient.address, credentials))

    eventually(lambda: up(patient.address, credentials))


def test_a_request_that_comes_with_the_end_of_a_handshake_is_answered(secret: Running, files: Files) -> None:
    handshake = Handshake(files)
    with opened(secret, "http", handshake.says()) as connection:
        handshake.reads.write(connection.recv(10_000))
        end = handshake.says()
        handshake.tls.write(ASK)
        connection.sendall(end + handshake.says())
        heard = b""
        while not heard:
            handshake.reads.write(connection.recv(10_000))
            with suppress(ssl.SSLWantReadError):  # of what belongs to the handshake yet
                heard = handshake.tls.read(100)

    assert heard.startswith(b"HTTP/1.1 200 ")
