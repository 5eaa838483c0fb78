"""The operator's own base map: vector tiles out of one PMTiles archive, so that the map needs no network."""

from pathlib import Path

from pmtiles.reader import MmapSource, Reader
from pmtiles.tile import Compression


class Tiles:
    """An open archive."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            self._reader = Reader(MmapSource(file))  # the map stays when the file is closed
        self._gzip = self._reader.header()["tile_compression"] == Compression.GZIP

    def get(self, z: int, x: int, y: int) -> tuple[bytes | None, bool]:
        """The tile's bytes, or None where there is nothing, and whether they are compressed."""
        if max(x, y) >= 1 << z:
            return None, self._gzip
        return self._reader.get(z, x, y), self._gzip
