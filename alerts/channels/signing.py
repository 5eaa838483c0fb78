"""Signatures by which a receiver knows that an alert is ours and of now: HMAC-SHA256 over the time of sending and the bytes.

The same for every channel: in a header where there are headers, and as the last member of the JSON object over MQTT, whose
version 3.1.1 has none. How a receiver verifies is in docs/receiving.md.
"""

import hashlib
import hmac

HEADER = "Marchwarden-Signature"


def signature(secret: bytes, body: bytes, sent_s: int) -> str:
    """`t=<epoch seconds>,v1=<hexadecimal>`. The time is signed with the body, so an old message cannot be passed off as new."""
    digest = hmac.new(secret, b"%d." % sent_s + body, hashlib.sha256).hexdigest()
    return f"t={sent_s},v1={digest}"


def with_signature(secret: bytes, body: bytes, sent_s: int) -> bytes:
    """A JSON object with its signature as the last member; what is signed are the bytes of the object without it."""
    return body[:-1] + b',"signature":"' + signature(secret, body, sent_s).encode() + b'"}'
