"""Pictures that nobody can be known by: what a camera sends is checked by its header, made small, and only that is ever kept.

EN 62676-4 says at what density a person can be recognised (125 pixels a metre) and observed (62). One who fills a picture of
96 pixels has some 50: one sees that somebody is there, how he moves and what he carries, and no face; a plate is a smear.

`checked_header` is cheap and runs where messages are decoded. `reduced` decodes, and what it costs is the sender's to choose: it
runs in a process with limits (`reducer_process.py`). Why: docs/decisions/0013-pictures.md.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from model.rejections import Reason

LONGEST_PX = 96
QUALITY = 85
PIXELS_MAX = 40_000_000  # 8K video has 33 million
SCANS_MAX = 32  # libjpeg writes 10 for a progressive picture in colour, 18 for four channels
SEGMENTS_MAX = 200  # before the last scan; cameras write about ten
COARSER = ((8, cv2.IMREAD_REDUCED_COLOR_8), (4, cv2.IMREAD_REDUCED_COLOR_4), (2, cv2.IMREAD_REDUCED_COLOR_2))

# ITU-T T.81, table B.1
END, SCAN = 0xD9, 0xDA
READ_FRAMES = {0xC0, 0xC1, 0xC2}  # baseline, extended and progressive, Huffman coded
FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # …, lossless, hierarchical, arithmetic
ALONE = {0x01, *range(0xD0, 0xD9)}  # markers without a length: TEM, restarts, and a start where there should be none
# In a scan 0xFF is data before 0x00, a restart before 0xD0–0xD7, and fill before another 0xFF.
NEXT_MARKER = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])")
OTHER_FORMATS = {
    b"\x89PNG": "PNG",
    b"GIF8": "GIF",
    b"RIFF": "WebP or AVI",
    b"BM": "BMP",
    b"II*\x00": "TIFF",
    b"MM\x00*": "TIFF",
    b"\x00\x00\x00\x0cjP": "JPEG 2000",
    b"\xff\x0a": "JPEG XL",
}


class PictureRefused(Exception):
    """A picture that is not decoded: the named reason, and a sentence for the technician."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason, self.detail = reason, detail


@dataclass(frozen=True)
class Header:
    """What decides the cost of decoding a JPEG."""

    wide_px: int
    high_px: int
    scans: int


def checked_header(jpeg: bytes) -> Header:
    """The header of a JPEG that may be decoded. Raises PictureRefused for any other bytes.

    It reads markers as libjpeg does: by their length in the header, and by searching behind a scan. Nothing is decoded.
    """
    if not jpeg.startswith(b"\xff\xd8\xff"):
        raise PictureRefused(Reason.WRONG_SHAPE, _other_format(jpeg))
    size: tuple[int, int] | None = None
    scans = 0
    for number, (marker, body) in enumerate(_segments(jpeg)):
        if number == SEGMENTS_MAX:
            raise PictureRefused(Reason.TOO_LARGE, f"A JPEG of more than {SEGMENTS_MAX} segments.")
        if marker in FRAMES:
            if size is not None:
                raise PictureRefused(Reason.WRONG_SHAPE, "A JPEG of several frames.")
            size = _checked_size(marker, body)
        elif marker == SCAN:
            scans += 1
            if scans > SCANS_MAX:
                raise PictureRefused(Reason.TOO_LARGE, f"A JPEG of more than {SCANS_MAX} scans.")
    if size is None or not scans:
        raise PictureRefused(Reason.WRONG_SHAPE, "A JPEG without a picture in it.")
    return Header(*size, scans)


def reduced(jpeg: bytes) -> bytes:
    """The picture at 96 pixels on its longer side, upright, as JPEG without whatever else the file held.

    Raises PictureRefused. Only for a process with limits: decoding costs up to a second and 500 MB.
    """
    header = checked_header(jpeg)
    longest = max(header.wide_px, header.high_px)
    flag = next((flag for factor, flag in COARSER if longest >= factor * 2 * LONGEST_PX), cv2.IMREAD_COLOR)
    try:
        image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), flag)
        if image is None:
            raise PictureRefused(Reason.WRONG_SHAPE, "A JPEG that is cut off or damaged.")
        high, wide = image.shape[:2]
        scale = min(LONGEST_PX / max(wide, high), 1.0)
        small = (max(round(wide * scale), 1), max(round(high * scale), 1))
        image = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
        _, out = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    except (cv2.error, MemoryError) as error:
        raise PictureRefused(Reason.WRONG_SHAPE, "A JPEG that is cut off or damaged.") from error
    return out.tobytes()


def _segments(jpeg: bytes) -> Iterator[tuple[int, bytes]]:
    """(marker, body) of every segment up to the end of the picture; what is cut off simply ends."""
    at = 2
    while at + 4 <= len(jpeg):
        found = NEXT_MARKER.search(jpeg, at)
        if found is None:
            return
        marker = found[1][0]
        at = found.end()
        if marker == END:
            return
        if marker in ALONE:
            yield marker, b""
            continue
        length = int.from_bytes(jpeg[at : at + 2])
        if length < 2:
            raise PictureRefused(Reason.WRONG_SHAPE, "A JPEG with a segment of no length.")
        yield marker, jpeg[at + 2 : at + length]
        at += length


def _checked_size(marker: int, body: bytes) -> tuple[int, int]:
    """Width and height by a frame header, where it is of a kind that is read."""
    if len(body) < 6:
        raise PictureRefused(Reason.WRONG_SHAPE, "A JPEG whose frame header is cut off.")
    precision, channels = body[0], body[5]
    high, wide = int.from_bytes(body[1:3]), int.from_bytes(body[3:5])
    if marker not in READ_FRAMES:
        raise PictureRefused(Reason.WRONG_SHAPE, "A JPEG that is lossless, hierarchical or arithmetic coded.")
    if precision != 8 or channels not in (1, 3, 4):
        raise PictureRefused(
            Reason.WRONG_SHAPE, f"A JPEG of {channels} channels of {precision} bits; 1, 3 or 4 of 8 bits are read."
        )
    if not wide or not high:
        raise PictureRefused(Reason.WRONG_SHAPE, "A JPEG that does not say how large it is.")
    if wide * high > PIXELS_MAX:
        raise PictureRefused(
            Reason.TOO_LARGE, f"A picture of {wide:,} × {high:,} pixels; {PIXELS_MAX / 1e6:g} million are read."
        )
    return wide, high


def _other_format(data: bytes) -> str:
    name = next((name for start, name in OTHER_FORMATS.items() if data.startswith(start)), "")
    return f"A {name} picture; a snapshot is a JPEG." if name else "Not a JPEG."
