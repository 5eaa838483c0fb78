"""Real receivers on loopback for channels: HTTP and HTTPS, TAK over TCP or TLS, SMTP; and certificates made for the purpose."""

import datetime
import http.server
import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.message import Message
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass
class Certificates:
    """An authority of our own, and a server's certificate for 127.0.0.1 that it has signed."""

    folder: Path
    authority: Path = field(init=False)
    server: Path = field(init=False)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.authority, self.server = self.folder / "authority.pem", self.folder / "server.pem"
        ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "An authority for tests")])
        ca = _certificate(name, name, ca_key.public_key(), ca_key, x509.BasicConstraints(ca=True, path_length=None))
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        own = _certificate(subject, name, key.public_key(), ca_key, names)
        self.authority.write_bytes(ca.public_bytes(serialization.Encoding.PEM))
        self.server.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + own.public_bytes(serialization.Encoding.PEM)
        )

    def context(self) -> ssl.SSLContext:
        """For a server."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.server)
        return context


def _certificate(subject: x509.Name, issuer: x509.Name, key: Any, by: Any, more: Any) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(more, critical=False)
        .sign(by, hashes.SHA256())
    )


@dataclass
class Web:
    """An HTTP receiver. What it answers can be changed while it runs."""

    status: int = 204  # 0: garbage
    headers: dict[str, str] = field(default_factory=dict)
    answers: bool = True  # False: takes what comes and says nothing until it is closed
    closed: threading.Event = field(default_factory=threading.Event)
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)  # all that came
    taken: list[bytes] = field(default_factory=list)  # what it said yes to
    connections: int = 0
    url: str = ""


@contextmanager
def web(certificates: Certificates | None = None, port: int = 0, **answer: Any) -> Iterator[Web]:
    """An HTTP receiver on loopback."""
    receiver = Web(**answer)

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def setup(self) -> None:
            receiver.connections += 1
            super().setup()

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.got.append((dict(self.headers), body))
            if not receiver.answers:
                receiver.closed.wait()
            if receiver.status == 0:
                self.wfile.write(b"\x00garbage\r\n\r\n")
                self.close_connection = True
                return
            if 200 <= receiver.status < 300:
                receiver.taken.append(body)
            self.send_response(receiver.status)
            for name, value in receiver.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

        def handle(self) -> None:
            try:
                super().handle()
            except OSError:
                self.close_connection = True

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None: ...

    server = Server(("127.0.0.1", port), Handler)
    if certificates is not None:
        server.socket = certificates.context().wrap_socket(server.socket, server_side=True)
    scheme = "http" if certificates is None else "https"
    receiver.url = f"{scheme}://127.0.0.1:{server.server_port}/hook"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield receiver
    finally:
        receiver.closed.set()
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass
class Tak:
    """A TAK server: what was sent to it, and its clients."""

    port: int
    got: bytearray = field(default_factory=bytearray)
    clients: list[socket.socket] = field(default_factory=list)

    def say(self, event: bytes) -> None:
        for client in self.clients:
            client.sendall(event)

    def drop(self) -> None:
        """Every client loses its connection."""
        for client in self.clients:
            with suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)
            client.close()
        self.clients.clear()


@contextmanager
def tak(certificates: Certificates | None = None) -> Iterator[Tak]:
    """A TAK server on loopback that keeps all that it is sent."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = Tak(listening.getsockname()[1])
    ended = threading.Event()

    def serve(client: socket.socket) -> None:
        while not ended.is_set():
            try:
                said = client.recv(65_536)
            except OSError:
                return
            if not said:
                return
            server.got.extend(said)

    def accept() -> None:
        while not ended.is_set():
            try:
                client, _ = listening.accept()
                if certificates is not None:
                    client = certificates.context().wrap_socket(client, server_side=True)
            except OSError:
                continue
            server.clients.append(client)
            threading.Thread(target=serve, args=(client,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield server
    finally:
        ended.set()
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        server.drop()


@dataclass
class Mailbox:
    """What an SMTP server took in, and what it says to the next message."""

    port: int = 0
    answer: str = "250 OK"
    messages: list[Message] = field(default_factory=list)

    async def handle_DATA(self, _: Any, __: Any, envelope: Any) -> str:
        import email

        if self.answer.startswith("2"):
            self.messages.append(email.message_from_bytes(envelope.content))
        return self.answer


@contextmanager
def smtp(certificates: Certificates | None = None) -> Iterator[Mailbox]:
    """An SMTP server on loopback, with STARTTLS where there are certificates."""
    mailbox = Mailbox()
    options = {} if certificates is None else {"tls_context": certificates.context(), "require_starttls": True}
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    controller = Controller(mailbox, hostname="127.0.0.1", port=port, **options)
    controller.start()
    mailbox.port = controller.port
    try:
        yield mailbox
    finally:
        controller.stop()
