"""Camera geometry: from a pixel to the ground and back, with OpenCV's lens model, over many cameras at once.

Frames: the camera's own is OpenCV's (x right, y down, z along the axis); the world's is the sector plane turned to true
north at the camera's foot (x east, y north, z up). The ground is a plane at the camera's foot.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from sensors.catalogue import Cameras

Array = NDArray[np.float64]


def rays_from_pixel(cameras: Cameras, camera: NDArray[np.int32], pixel: Array) -> Array:
    """(n, 2) where the rays of pixels (n, 2) meet the plane one unit before each lens, distortion undone.

    `camera` (n,) are rows of `cameras`.
    """
    rays = (pixel - cameras.centre_px[camera]) / cameras.focal_px[camera]
    bent = np.flatnonzero((cameras.distortion[camera] != 0).any(axis=1))
    for number in np.unique(camera[bent]).tolist():
        rows = bent[camera[bent] == number]
        rays[rows] = cv2.undistortPoints(
            np.ascontiguousarray(pixel[rows][:, None]), _matrix(cameras, number), cameras.distortion[number]
        )[:, 0]
    return rays


def ground_from_ray(ray: Array, height_m: Array, azimuth_deg: Array, tilt_deg: Array, roll_deg: Array) -> Array:
    """(n, 2) m east and north of the camera's foot where rays (n, 2) meet the ground; NaN for rays that never do."""
    direction = np.einsum(
        "nij,nj->ni", _world_from_camera(azimuth_deg, tilt_deg, roll_deg), np.c_[ray, np.ones(len(ray))]
    )
    down = -direction[:, 2]
    with np.errstate(divide="ignore", invalid="ignore"):
        reach = np.where(down > 1e-9, height_m / down, np.nan)
    return np.asarray(direction[:, :2] * reach[:, None])


def ground_from_pixel(cameras: Cameras, camera: NDArray[np.int32], pixel: Array) -> tuple[Array, Array]:
    """(n, 2) m east and north of the camera's foot, and (n, 2, 2) m² by linear propagation of the pose's and pixel's errors.

    NaN where the ray never meets the ground. Partial derivatives are central differences.
    """
    pose = {
        "height_m": cameras.height_m[camera],
        "azimuth_deg": cameras.azimuth_deg[camera],
        "tilt_deg": cameras.tilt_deg[camera],
        "roll_deg": cameras.roll_deg[camera],
    }
    ray = rays_from_pixel(cameras, camera, pixel)
    ray_sigma = cameras.pixel_sigma_px[camera] / cameras.focal_px[camera, 0]
    covariance = np.zeros((len(camera), 2, 2))
    for axis in (0, 1):
        step = np.zeros_like(ray)
        step[:, axis] = 1e-5
        slope = (ground_from_ray(ray + step, **pose) - ground_from_ray(ray - step, **pose)) / 2e-5
        covariance += _outer(slope * ray_sigma[:, None])
    for name, sigma in (
        ("azimuth_deg", cameras.angle_sigma_deg),
        ("tilt_deg", cameras.angle_sigma_deg),
        ("height_m", cameras.height_sigma_m),
    ):
        more, less = pose | {name: pose[name] + 1e-4}, pose | {name: pose[name] - 1e-4}
        slope = (ground_from_ray(ray, **more) - ground_from_ray(ray, **less)) / 2e-4
        covariance += _outer(slope * sigma[camera][:, None])
    covariance += cameras.position_sigma_m[camera][:, None, None] ** 2 * np.eye(2)
    return ground_from_ray(ray, **pose), covariance


def pixel_from_ground(cameras: Cameras, number: int, ground: Array) -> Array:
    """(n, 2) px of places (n, 2) m east and north of one camera's foot; NaN for what lies behind it."""
    turn = _world_from_camera(
        cameras.azimuth_deg[number : number + 1],
        cameras.tilt_deg[number : number + 1],
        cameras.roll_deg[number : number + 1],
    )[0]
    seen = np.c_[ground, np.full(len(ground), -cameras.height_m[number])] @ turn
    ahead = seen[:, 2] > 1e-6
    pixel = np.full((len(ground), 2), np.nan)
    if ahead.any():
        points, _ = cv2.projectPoints(
            seen[ahead][:, None], np.zeros(3), np.zeros(3), _matrix(cameras, number), cameras.distortion[number]
        )
        pixel[ahead] = points[:, 0]
    return pixel


def _world_from_camera(azimuth_deg: Array, tilt_deg: Array, roll_deg: Array) -> Array:
    """(n, 3, 3) whose columns are the camera's right, down and forward axes, as east, north, up."""
    a, t, r = np.radians(azimuth_deg), np.radians(tilt_deg), np.radians(roll_deg)
    zero = np.zeros_like(a)
    forward = np.stack([np.sin(a) * np.cos(t), np.cos(a) * np.cos(t), np.sin(t)], axis=1)
    level = np.stack([np.cos(a), -np.sin(a), zero], axis=1)
    below = np.cross(forward, level)
    cos, sin = np.cos(r)[:, None], np.sin(r)[:, None]
    return np.stack([cos * level + sin * below, cos * below - sin * level, forward], axis=2)


def _matrix(cameras: Cameras, number: int) -> Array:
    (fx, fy), (cx, cy) = cameras.focal_px[number], cameras.centre_px[number]
    return np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])


def _outer(v: Array) -> Array:
    return np.asarray(v[:, :, None] * v[:, None, :])
