"""JPEGs written by hand, marker by marker, with next to nothing in them: a decoder takes what is missing as zeros."""


def segment(marker: int, body: bytes) -> bytes:
    return bytes((0xFF, marker)) + (len(body) + 2).to_bytes(2) + body


def crafted(
    wide: int,
    high: int,
    scans: int = 1,
    *,
    frame: int = 0xC2,
    precision: int = 8,
    channels: int = 3,
    before: bytes = b"",
) -> bytes:
    """A picture of one colour that claims a size and has so many scans. `frame`: 0xC0 baseline, 0xC2 progressive …"""
    ids = range(1, channels + 1)
    size = bytes((precision,)) + high.to_bytes(2) + wide.to_bytes(2)
    parts = [b"\xff\xd8", before, segment(0xDB, b"\x00" + b"\x01" * 64)]
    parts.append(segment(frame, size + bytes((channels,)) + b"".join(bytes((i, 0x11, 0)) for i in ids)))
    parts += [segment(0xC4, table + b"\x01" + bytes(15) + b"\x00") for table in (b"\x00", b"\x10")]
    spectrum = b"\x00\x00\x00" if frame == 0xC2 else b"\x00\x3f\x00"
    parts += [segment(0xDA, bytes((channels,)) + b"".join(bytes((i, 0)) for i in ids) + spectrum), b"\x00"]
    for scan in range(scans - 1):
        parts += [segment(0xDA, bytes((1, 1 + scan % channels, 0)) + b"\x01\x3f\x00"), b"\x00"]
    return b"".join(parts) + b"\xff\xd9"


def orientation(value: int) -> bytes:
    """An EXIF segment that says how the camera was held: 1 upright, 6 turned by a quarter."""
    entry = (0x0112).to_bytes(2, "little") + b"\x03\x00" + b"\x01\x00\x00\x00" + value.to_bytes(4, "little")
    return segment(0xE1, b"Exif\x00\x00II*\x00\x08\x00\x00\x00\x01\x00" + entry + bytes(4))
