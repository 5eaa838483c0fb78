"""Pictures that nobody can be known by: what a camera sends is made small as it is decoded, and only that is ever kept.

EN 62676-4 says at what density a person can be recognised (125 pixels a metre) and observed (62). One who fills a picture of
96 pixels has some 50: one sees that somebody is there, how he moves and what he carries, and no face; a plate is a smear.
"""

import cv2
import numpy as np

LONGEST_PX = 96
QUALITY = 85
COARSER = ((8, cv2.IMREAD_REDUCED_COLOR_8), (4, cv2.IMREAD_REDUCED_COLOR_4), (2, cv2.IMREAD_REDUCED_COLOR_2))


def reduced(jpeg: bytes) -> bytes | None:
    """The picture at 96 pixels on its longer side, as JPEG without whatever else the file held; None: it cannot be read."""
    if not jpeg.startswith(b"\xff\xd8"):
        return None
    data = np.frombuffer(jpeg, np.uint8)
    try:
        # Read coarsely first: a file of a few bytes can claim to be enormous.
        image = cv2.imdecode(data, cv2.IMREAD_REDUCED_COLOR_8)
        if image is None:
            return None
        longest = 8 * max(image.shape[:2])
        finer = next((flag for factor, flag in COARSER if longest >= factor * 2 * LONGEST_PX), cv2.IMREAD_COLOR)
        image = cv2.imdecode(data, finer)
        if image is None:
            return None
        scale = LONGEST_PX / max(image.shape[:2])
        if scale < 1:
            image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        done, small = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    except cv2.error:
        return None
    return small.tobytes() if done else None
