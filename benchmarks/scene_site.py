"""A scene as others would bring it: a site folder, a recording and the truth, for the commands that everyone uses.

python -m benchmarks.scene_site /tmp/strip --targets 100 --seed 1
marchwarden replay /tmp/strip /tmp/strip/messages.ndjson --tracks /tmp/strip/tracks.ndjson
marchwarden score /tmp/strip/tracks.ndjson /tmp/strip/truth.ndjson
"""

import argparse
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np

from benchmarks.scenes import CLUTTER, START_NS, Scene, strip
from geo.frames import wgs84_from_plane
from model.classes import CLASSES
from model.detections import Kind
from model.time import NS, iso_from_ns

SHIPPED = Path(__file__).parents[1] / "configs"
PREFIX = "marchwarden/strip/detections/"


def names_of(scene: Scene) -> list[str]:
    """An id for each sensor."""
    kinds = np.where(scene.is_ground(), "ugs", np.where(scene.is_plate_reader(), "lpr", "cam"))
    return [f"{kind}-{row:03d}" for row, kind in enumerate(kinds.tolist())]


def written_site(scene: Scene, folder: Path) -> None:
    """The scene's sensors as a technician would register them; map, rules and agencies are the shipped ones."""
    shutil.copytree(SHIPPED, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("sensors", "schema", "state"))
    text = (SHIPPED / "site.toml").read_text().replace('name = "san-rafael"', 'name = "strip"')
    (folder / "site.toml").write_text(text)
    s = scene.sensors
    lat, lon = wgs84_from_plane(scene.sectors, s.sector, s.position)
    entries = []
    for row, name in enumerate(names_of(scene)):
        fields: dict[str, object] = {"id": name, "lat": round(float(lat[row]), 7), "lon": round(float(lon[row]), 7)}
        kind = {"ugs": "ground", "lpr": "plate_reader", "cam": "camera"}[name[:3]]
        fields |= {"kind": kind, "range_m": float(s.range_m[row]), "detection_probability": 0.9}
        fields["accuracy_m"] = 1.0 if kind == "ground" else float(s.accuracy_m[row])
        fields["looks_per_s"] = float(s.looks_per_s[row])
        fields["false_alarms_per_hour"] = float(s.false_alarms_per_hour[row])
        if kind == "camera":
            fields["azimuth_deg"] = round(float(90 - np.degrees(s.facing_rad[row])) % 360, 3)
            fields["fov_deg"] = round(2 * float(np.degrees(s.half_angle_rad[row])), 3)
        entries.append("[[sensor]]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in fields.items()))
    (folder / "sensors").mkdir(exist_ok=True)
    (folder / "sensors" / "strip.toml").write_text("\n".join(entries))


def message_lines(scene: Scene) -> Iterator[tuple[int, bytes]]:
    """(received_ns, line) of each frame of a camera and each row of the others."""
    names, rows, frames = names_of(scene), scene.detections, {}
    lat, lon = wgs84_from_plane(scene.sectors, rows.sector, rows.position)
    for looked_ns, received_ns, sensor in zip(
        scene.looks.observed_ns.tolist(), scene.looks.received_ns.tolist(), scene.looks.sensor.tolist(), strict=True
    ):
        frames[sensor, looked_ns] = [received_ns, []]
    for i in range(len(rows)):
        sensor, observed_ns = int(rows.sensor[i]), int(rows.observed_ns[i])
        said: dict[str, object] = {}
        if rows.kind[i] != Kind.PRESENCE:
            said = {
                "lat": round(float(lat[i]), 7),
                "lon": round(float(lon[i]), 7),
                "covariance_m2": np.round(rows.covariance[i], 3).tolist(),
                "class": dict(zip(CLASSES, np.round(rows.class_likelihood[i], 3).tolist(), strict=True)),
            }
        if rows.plate[i]:
            said["plate"] = f"TST{int(rows.plate[i]) % 10**6:06d}"
        if (sensor, observed_ns) in frames:
            frames[sensor, observed_ns][1].append(said)
            frames[sensor, observed_ns][0] = max(frames[sensor, observed_ns][0], int(rows.received_ns[i]))
        else:
            yield (
                int(rows.received_ns[i]),
                line_of(rows.received_ns[i], names[sensor], {"time": iso_from_ns(observed_ns)} | said),
            )
    for (sensor, observed_ns), (received_ns, members) in frames.items():
        frame = {"time": iso_from_ns(observed_ns), "detections": members}
        yield received_ns, line_of(received_ns, names[sensor], frame)


def line_of(received_ns: int, name: str, payload: dict[str, object]) -> bytes:
    """A line of a recording."""
    said = {"received": iso_from_ns(int(received_ns)), "topic": PREFIX + name, "payload": payload, "retain": False}
    return msgspec.json.encode(said) + b"\n"


def truth_lines(scene: Scene) -> Iterator[bytes]:
    """A line per target and second."""
    for second in range(1, scene.seconds + 1):
        lat, lon = wgs84_from_plane(scene.sectors, np.zeros(scene.targets, np.int16), scene.position[second])
        for target in range(scene.targets):
            yield (
                msgspec.json.encode(
                    {
                        "time": iso_from_ns(START_NS + second * NS),
                        "target": str(target),
                        "lat": round(float(lat[target]), 7),
                        "lon": round(float(lon[target]), 7),
                        "class": scene.what[target],
                        "in_view": bool(scene.in_view[second, target]),
                    }
                )
                + b"\n"
            )


def main() -> None:
    said = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    said.add_argument("folder", type=Path)
    said.add_argument("--targets", type=int, default=100)
    said.add_argument("--seed", type=int, default=1)
    said.add_argument("--group", type=int, default=1)
    asked = said.parse_args()
    scene = strip(asked.targets, asked.seed, group=asked.group)
    written_site(scene, asked.folder)
    lines = sorted(message_lines(scene), key=lambda line: line[0])
    (asked.folder / "messages.ndjson").write_bytes(b"".join(line for _, line in lines))
    (asked.folder / "truth.ndjson").write_bytes(b"".join(truth_lines(scene)))
    print(f"{len(lines):,} messages, {scene.targets} targets, clutter {CLUTTER} a frame: {asked.folder}")


if __name__ == "__main__":
    main()
