"""E-mail by SMTP. The messages of one alert are one thread in the reader's mailbox."""

import smtplib
import ssl
from email.message import EmailMessage

import msgspec

from alerts.channels.results import Delivered, Refused, Result, failure
from alerts.wire import one_line
from model.alerts import Delivery

FAILURES = (OSError, smtplib.SMTPException, ValueError)  # ValueError: a name or password that cannot be encoded


class EmailChannel:
    """One connection for what is handed over together."""

    def __init__(
        self,
        id: str,
        host: str,
        port: int,
        sender: str,
        to: list[str],
        starttls: bool = True,
        ca_file: str = "",
        username: str = "",
        password: str = "",
        timeout_s: float = 10.0,
        per_minute: int | None = None,
    ) -> None:
        self.id, self.per_minute = id, per_minute
        self._host, self._port, self._sender, self._to, self._timeout_s = host, port, sender, to, timeout_s
        self._tls = ssl.create_default_context(cafile=ca_file or None) if starttls else None
        self._username, self._password = username, password

    def send(self, deliveries: list[Delivery]) -> list[Result]:
        try:
            with smtplib.SMTP(self._host, self._port, timeout=self._timeout_s) as server:
                if self._tls is not None:
                    server.starttls(context=self._tls)
                if self._username:
                    server.login(self._username, self._password)
                return [self._sent(server, delivery) for delivery in deliveries]
        except FAILURES as error:
            return [failure(error)] * len(deliveries)

    def close(self) -> None: ...

    def _sent(self, server: smtplib.SMTP, delivery: Delivery) -> Result:
        try:
            server.send_message(message_of(delivery, self._sender, self._to))
        except smtplib.SMTPResponseException as error:
            said = f"The server answered {error.smtp_code}."
            return Refused(said) if error.smtp_code >= 500 else failure(error)
        except smtplib.SMTPRecipientsRefused as error:
            codes = sorted({code for code, _ in error.recipients.values()})
            return Refused(f"The server refuses all recipients: {codes}.") if min(codes) >= 500 else failure(error)
        except FAILURES as error:
            return failure(error)
        return Delivered()


def message_of(delivery: Delivery, sender: str, to: list[str]) -> EmailMessage:
    """The message of a delivery; its id is the delivery's key, so a repeat is known for one."""
    record = msgspec.json.decode(delivery.body)
    headline, _, seen = record["text"].partition("\n")
    domain = sender.rpartition("@")[2]
    message = EmailMessage()
    message["From"], message["To"] = sender, ", ".join(to)
    message["Subject"] = one_line(f"[{record['severity'].upper()}] {headline}")
    message["Message-ID"] = f"<{delivery.key}@{domain}>"
    first = record["first_told"]["delivery"]
    if first != delivery.key:
        message["In-Reply-To"] = message["References"] = f"<{first}@{domain}>"
    log = "".join(f"\n{e['time']}  {e['what']}  {e['by']}  {e['note']}".rstrip() for e in record["log"])
    message.set_content(
        f"{headline}\n{seen}\n\nAlert {record['alert']}, revision {record['revision']}, {record['status']}.\n"
        f"Map: geo:{record['lat']},{record['lon']};u={record['sigma_m']:.0f}\n\nLog:{log}\n"
    )
    return message
