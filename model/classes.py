"""What can be seen: the classes that every sensor's own labels are mapped to."""

import numpy as np
from numpy.typing import NDArray

CLASSES = ("person", "vehicle", "animal", "vessel", "aircraft", "other")
CLASS_INDEX = {name: i for i, name in enumerate(CLASSES)}

# Labels that equipment uses (COCO's, Frigate's, ONVIF's, Axis'); whatever is not here is "other".
CLASS_OF_LABEL = {
    **{name: name for name in CLASSES},
    **dict.fromkeys(("human", "people", "pedestrian", "face", "walker", "group"), "person"),
    **dict.fromkeys(
        (
            "car",
            "truck",
            "bus",
            "motorcycle",
            "motorbike",
            "bicycle",
            "bike",
            "van",
            "train",
            "vehical",
            "license_plate",
            "licenseplate",
            "atv",
        ),
        "vehicle",
    ),
    **dict.fromkeys(
        (
            "dog",
            "cat",
            "horse",
            "cow",
            "sheep",
            "bear",
            "deer",
            "bird",
            "fox",
            "goat",
            "rabbit",
            "raccoon",
            "squirrel",
            "coyote",
            "javelina",
            "skunk",
            "elephant",
            "zebra",
            "giraffe",
            "cattle",
        ),
        "animal",
    ),
    **dict.fromkeys(("boat", "ship"), "vessel"),
    **dict.fromkeys(("airplane", "plane", "helicopter", "drone", "uav"), "aircraft"),
}


# Things that cameras name and that are no class of ours: known, and "other". COCO's (Lin et al. 2014), and what Frigate adds.
_OTHERS = """
    traffic light, fire hydrant, street sign, stop sign, parking meter, bench, hat, backpack, umbrella, shoe,
    eye glasses, handbag, tie, suitcase, frisbee, skis, snowboard, sports ball, kite, baseball bat,
    baseball glove, skateboard, surfboard, tennis racket, bottle, plate, wine glass, cup, fork, knife, spoon,
    bowl, banana, apple, sandwich, orange, broccoli, carrot, hot dog, pizza, donut, cake, chair, couch,
    potted plant, bed, mirror, dining table, window, desk, toilet, door, tv, laptop, mouse, remote, keyboard,
    cell phone, microwave, oven, toaster, sink, refrigerator, blender, book, clock, vase, scissors, teddy bear,
    hair drier, toothbrush, hair brush, package, waste_bin, bbq_grill, robot_lawnmower, amazon, usps, ups, fedex,
    dhl, an_post, purolator, postnl, nzpost, postnord, gls, dpd, canada_post, royal_mail, unknown, object, none
"""
KNOWN_OTHERS = frozenset(name.strip() for name in _OTHERS.split(","))


def is_known_label(label: str) -> bool:
    """Does anybody's table have this label?"""
    name = label.strip().lower()
    return name in CLASS_OF_LABEL or name in KNOWN_OTHERS


def class_index(label: str) -> int:
    """The column of a label in class columns."""
    return CLASS_INDEX[CLASS_OF_LABEL.get(label.strip().lower(), "other")]


def likelihoods(shares: dict[str, float]) -> NDArray[np.float64]:
    """(classes,) probabilities from labelled shares; what they leave of 1 is spread evenly over all classes."""
    row = np.zeros(len(CLASSES))
    for label, share in shares.items():
        row[class_index(label)] += share
    total = row.sum()
    if total > 1:
        row /= total
    else:
        row += (1 - total) / len(CLASSES)
    return row


def confused(said: NDArray[np.float64], confusion: tuple[tuple[float, ...], ...]) -> NDArray[np.float64]:
    """(classes,) how likely each true class makes what was said, given shares (true, said), normalised; empty: as it was said."""
    if not confusion:
        return said
    likely = np.array(confusion) @ said
    return np.asarray(likely / likely.sum()) if likely.sum() > 0 else np.full_like(said, 1 / len(said))
