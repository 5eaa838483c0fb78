"""Cursor on Target to a TAK server, over TCP or TLS.

The protocol has no answer: delivered means that the connection took it and still stood afterwards. What is lost with a
connection that breaks later is not known; the next word of the same alert says all of it again.
"""

import socket
import ssl

from alerts.channels.results import Delivered, Result, failure
from alerts.cot import cot_event
from model.alerts import Delivery


class TakChannel:
    """One connection, made again when it breaks."""

    def __init__(
        self,
        id: str,
        host: str,
        port: int,
        stale_s: float,
        timeout_s: float = 5.0,
        ca_file: str = "",
        cert_file: str = "",
        key_file: str = "",
        per_minute: int | None = None,
    ) -> None:
        self.id, self.per_minute = id, per_minute
        self._address, self._stale_s, self._timeout_s = (host, port), stale_s, timeout_s
        self._tls = ssl.create_default_context(cafile=ca_file) if ca_file else None
        if self._tls is not None and cert_file:
            self._tls.load_cert_chain(cert_file, key_file or None)
        self._socket: socket.socket | None = None

    def send(self, deliveries: list[Delivery]) -> list[Result]:
        results: list[Result] = []
        for delivery in deliveries:
            try:
                self._give(cot_event(delivery.body, self._stale_s))
                results.append(Delivered())
            except (OSError, ValueError) as error:
                self.close()
                results.append(failure(error))
        return results

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _give(self, event: bytes) -> None:
        if self._socket is None or _gone(self._socket):
            self.close()
            self._socket = self._connected()
        self._socket.sendall(event)
        if _gone(self._socket):
            raise ConnectionResetError("The server closed the connection.")

    def _connected(self) -> socket.socket:
        plain = socket.create_connection(self._address, self._timeout_s)
        return plain if self._tls is None else self._tls.wrap_socket(plain, server_hostname=self._address[0])


def _gone(connection: socket.socket) -> bool:
    """Has the other side closed? What it says meanwhile is read, and of no interest here."""
    timeout_s = connection.gettimeout()
    connection.setblocking(False)
    try:
        while said := connection.recv(65_536):
            del said
    except (BlockingIOError, ssl.SSLWantReadError):
        return False
    except OSError:
        return True
    finally:
        connection.settimeout(timeout_s)
    return True
