"""Hash trees are those of RFC 9162: its readers' published roots come out, and a path proves one leaf at one place."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from assisters_app.billing import trees

# The inputs and roots that Certificate Transparency's own implementations are tested with.
TEXTS = [bytes.fromhex(text) for text in (
    "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
)]  # fmt: skip
ROOTS = (
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)


@pytest.mark.parametrize("many", range(1, 9))
def test_the_roots_are_those_of_certificate_transparency(many):
    leaves = [trees.leaf(text) for text in TEXTS[:many]]
    assert trees.root(leaves).hex() == ROOTS[many - 1]


@given(many=some.integers(1, 300), data=some.data())
def test_a_path_leads_from_its_leaf_to_the_root_and_from_nowhere_else(many, data):
    leaves = [trees.leaf(str(number).encode()) for number in range(many)]
    at, elsewhere = (data.draw(some.integers(0, many - 1)) for _ in range(2))
    path, root = trees.path(leaves, at), trees.root(leaves)
    assert len(path) <= (many - 1).bit_length()
    assert trees.root_by(leaves[at], at, many, path) == root
    wrong = [(trees.leaf(b"another"), at, path)]
    wrong += [(leaves[at], elsewhere, path), (leaves[elsewhere], at, path)] if elsewhere != at else []
    wrong += [(leaves[at], at, path[:-1]), (leaves[at], at, path[1:])] if path else []
    for leaf, index, told in [*wrong, (leaves[at], at, [*path, root])]:
        assert reached(leaf, index, many, told) != root


def reached(leaf, index, many, path):
    try:
        return trees.root_by(leaf, index, many, path)
    except ValueError:
        return None


@pytest.mark.parametrize(("index", "size"), [(-1, 4), (4, 4), (0, 0)])
def test_a_tree_has_no_leaf_beyond_its_size(index, size):
    with pytest.raises(ValueError, match="no leaf"):
        trees.root_by(trees.leaf(b""), index, size, [])
