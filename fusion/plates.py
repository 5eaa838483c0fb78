"""Plates as several readers, or one in several frames, have read them: evidence for a pair, and what a track's plate may be."""

import numpy as np
from numpy.typing import NDArray

from model.detections import PLATES

Array = NDArray[np.float64]
Tokens = NDArray[np.uint64]
MISREAD = 0.02  # that a reader gives none of its candidates to what the plate is
SAME, OTHER = 6.0, -6.0  # bounds of the log evidence: cloned plates and gross misreads exist
UNRELATED = 2e-3  # how often candidates of two unrelated plates agree by chance


def agreement(ours: Tokens, our_share: Array, theirs: Tokens, their_share: Array) -> Array:
    """(k,) probability that both are the same plate, were each reader to draw from its candidates (k, PLATES)."""
    same = (ours[:, :, None] == theirs[:, None, :]) & (ours[:, :, None] != 0)
    return np.asarray((same * our_share[:, :, None] * their_share[:, None, :]).sum(axis=(1, 2)))


def evidence(ours: Tokens, our_share: Array, theirs: Tokens, their_share: Array) -> Array:
    """(k,) log ratio of one plate having been read twice to two plates; 0 where either has not been read."""
    said, both = np.zeros(len(ours)), np.flatnonzero((ours[:, 0] != 0) & (theirs[:, 0] != 0))
    same = agreement(ours[both], our_share[both], theirs[both], their_share[both])
    said[both] = np.clip(np.log(np.maximum(same, 1e-9) / UNRELATED), OTHER, SAME)
    return said


def fused(ours: Tokens, our_share: Array, theirs: Tokens, their_share: Array) -> tuple[Tokens, Array]:
    """Candidates (k, PLATES) after another reading, likeliest first: each by how likely both readings are, if it is the plate."""
    unread = ours[:, 0] == 0
    tokens = np.concatenate([ours, np.where((theirs[:, :, None] == ours[:, None, :]).any(axis=2), 0, theirs)], axis=1)
    left = np.maximum(1 - our_share.sum(axis=1), MISREAD)[:, None]
    before = np.concatenate([our_share, np.broadcast_to(left / PLATES, theirs.shape)], axis=1)
    said = ((tokens[:, :, None] == theirs[:, None, :]) * their_share[:, None, :]).sum(axis=2)
    weight = np.where(tokens != 0, before * np.maximum(said, MISREAD), 0.0)
    rest = left[:, 0] * MISREAD
    order = np.argsort(-weight, axis=1, kind="stable")[:, :PLATES]
    share = np.take_along_axis(weight, order, axis=1)
    share = share / np.maximum(weight.sum(axis=1) + rest, 1e-12)[:, None]
    kept = np.where(share > 0, np.take_along_axis(tokens, order, axis=1), 0)
    return np.where(unread[:, None], theirs, kept), np.where(unread[:, None], their_share, share)
