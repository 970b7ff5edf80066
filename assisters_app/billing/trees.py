"""Hash trees as RFC 9162 has them (section 2.1): one signature for many texts, each of which is proven by a short path.

    leaf(text) -> bytes                        what stands for a text
    root(leaves) -> bytes                      what stands for all of them, in their order
    path(leaves, index) -> [bytes, …]          the hashes that lead from one leaf to the root: about log2 of how many
    root_by(leaf, index, size, path) -> bytes  the root that a path leads to; raises ValueError when it leads nowhere

Hashes are SHA-256, 32 bytes. What stands for a text and what stands for two others are hashed differently, so that
nobody can pass the one off as the other.
"""

import hashlib
from collections.abc import Sequence

LEAF, NODE = b"\x00", b"\x01"


def leaf(text: bytes) -> bytes:
    """Return the hash that stands for a text."""
    return hashlib.sha256(LEAF + text).digest()


def root(leaves: Sequence[bytes]) -> bytes:
    """Return the hash that stands for all leaves, of which there is at least one."""
    return _levels(leaves)[-1][0]


def path(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """Return the hashes that a leaf is joined with on its way to the root, from below (RFC 9162, 2.1.3.1)."""
    found = []
    for level in _levels(leaves):
        beside = index ^ 1
        if beside < len(level):
            found.append(level[beside])
        index >>= 1
    return found


def root_by(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """Return the root of a tree of `size` leaves that `path` leads to from the leaf at `index` (RFC 9162, 2.1.3.2).

    Raises ValueError when there is no such leaf, or no tree of that size has a path so long or so short.
    """
    if not 0 <= index < size:
        raise ValueError(f"There is no leaf {index} among {size}.")
    reached, at, last = leaf, index, size - 1
    for beside in path:
        if not last:
            raise ValueError("The path is too long.")
        if at & 1 or at == last:
            reached = _node(beside, reached)
            while at and not at & 1:  # the last one of a level, carried up as it is
                at, last = at >> 1, last >> 1
        else:
            reached = _node(reached, beside)
        at, last = at >> 1, last >> 1
    if last:
        raise ValueError("The path is too short.")
    return reached


def _levels(leaves: Sequence[bytes]) -> list[list[bytes]]:
    """Return the tree level by level, the root alone in the last: neighbours are joined, one left over is carried up.

    That is the tree of RFC 9162, whose left side is always the largest power of two.
    """
    levels = [list(leaves)]
    while len(below := levels[-1]) > 1:
        above = [_node(*pair) for pair in zip(below[::2], below[1::2], strict=False)]
        levels.append(above + below[len(above) * 2 :])
    return levels


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(NODE + left + right).digest()
