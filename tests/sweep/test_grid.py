"""Values, TOML files and what is wrong with them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pnc.errors import InvalidInputError
from pnc.sweep import AXES, parse_values, read_sweep


@given(first=st.integers(2, 50), count=st.integers(1, 30), step=st.integers(1, 7))
def test_a_range_has_both_its_ends(first, count, step):
    last = first + (count - 1) * step
    assert parse_values("depth", f"{first}:{last}:{step}") == tuple(range(first, last + 1, step))
    assert parse_values("depth", f"{first}:{last}") == tuple(range(first, last + 1))
    if step > 1:  # a last value that no step reaches is not one of them
        assert parse_values("depth", f"{first}:{last + step - 1}:{step}")[-1] == last


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=20))
def test_a_list_keeps_its_order_and_drops_repetitions(values):
    expected = tuple(dict.fromkeys(values))
    assert parse_values("width", ",".join(map(str, values))) == expected
    assert parse_values("width", values) == expected


def test_fractional_ranges_are_the_numbers_that_one_would_write():
    assert parse_values("epsilon", "0.1:0.7:0.1") == (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
    assert parse_values("epsilon", "1e-3,0.5") == (0.001, 0.5)
    assert parse_values("depth", " 2:3 , 9") == (2, 3, 9)
    assert parse_values("label_scale", 100) == (100.0,)
    assert isinstance(parse_values("label_scale", 100)[0], float)
    assert isinstance(parse_values("depth", 4.0)[0], int)


def test_sizes_of_unequal_classes_are_one_value():
    assert parse_values("samples_per_class", "2:3,5/10/20, 4/4") == (2, 3, (5, 10, 20), (4, 4))
    assert parse_values("samples_per_class", [10, [5, 10], "5/10"]) == (10, (5, 10))
    assert parse_values("samples_per_class", [[7]]) == ((7,),)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("samples_per_class", "5/x"),
        ("samples_per_class", "5/"),
        ("samples_per_class", "5/2:3"),
        ("samples_per_class", [[5, 2.5]]),
        ("samples_per_class", [[]]),
        ("depth", "5/6"),
        ("depth", [[5, 6]]),
        ("depth", "2:x"),
        ("depth", "2.5"),
        ("depth", 2.5),
        ("depth", True),
        ("depth", {"first": 2}),
        ("depth", "1:2:3:4"),
        ("depth", "2:9:0"),
        ("depth", "2:9:-1"),
        ("depth", "2:1000000000"),
        ("epsilon", "0.1:0.5"),
        ("epsilon", "nan"),
        ("epsilon", "inf"),
        ("epsilon", "0.1;0.2"),
    ],
)
def test_what_is_not_a_list_of_numbers_is_refused(name, value):
    with pytest.raises(InvalidInputError, match=f"got {name} = "):
        parse_values(name, value)


@pytest.mark.parametrize("value", ["", "5:2", [], ","])
def test_an_empty_grid_is_refused(value):
    with pytest.raises(InvalidInputError, match="empty grid: width"):
        read_sweep(depth="2:3", width=value)


@pytest.mark.parametrize(
    ("key", "near"),
    [
        ("epsilom", "epsilon"),
        ("dept", "depth"),
        ("samples-per-class", "samples_per_class"),
        ("seedss", "seeds"),
        ("loss_tol", "loss_tolerance"),
        ("wiidths", "width"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_known_one(key, near, tmp_path):
    file = tmp_path / "sweep.toml"
    file.write_text(f'depth = "2:3"\n"{key}" = 1\n')
    with pytest.raises(InvalidInputError, match=f"did you mean {near}"):
        read_sweep(file)
    if near in AXES:
        file.write_text(f'depth = 3\n[[grid]]\n"{key}" = 1\n')
        with pytest.raises(InvalidInputError, match=f"did you mean {near}"):
            read_sweep(file)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("depth = ", "not TOML"),
        ("width = 20", "without depths"),
        ("depth = 3\nseeds = 0", "seeds = 0"),
        ("depth = 3\nseeds = true", "seeds = True"),
        ('depth = 3\nloss_tolerance = "small"', "loss_tolerance"),
        ("depth = 3\ncertificates = 1", "certificates = 1"),
        ("depth = 3\ngrid = 4", "tables"),
        ('depth = 3\ndata = "orthonormal"\ntheta = 0.1', "theta with data"),
        ('depth = 3\ndata = "problem.npz"\nclasses = 3', "classes with data"),
        ("depth = 3\n[[grid]]\nseeds = 3", "unknown key 'seeds' in"),
    ],
)
def test_a_file_that_cannot_be_carried_out_is_refused(text, said, tmp_path):
    file = tmp_path / "sweep.toml"
    file.write_text(text)
    with pytest.raises(InvalidInputError, match=said):
        read_sweep(file)


def test_a_missing_or_binary_file_is_refused(tmp_path):
    with pytest.raises(InvalidInputError, match="No such file"):
        read_sweep(tmp_path / "none.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidInputError, match="not UTF-8"):
        read_sweep(tmp_path / "binary.toml")


def test_options_take_precedence_over_the_file(tmp_path):
    file = tmp_path / "sweep.toml"
    file.write_text('depth = "2:4"\nepsilon = [0.1, 0.2]\nseeds = 5\n[[grid]]\nwidth = 30\n[[grid]]\ndepth = 9\n')
    sweep = read_sweep(file, epsilon="0.3", seeds=None)
    assert [dict(grid) for grid in sweep.grids] == [
        {"depth": (2, 3, 4), "epsilon": (0.3,), "width": (30,)},
        {"depth": (9,), "epsilon": (0.3,)},
    ]
    assert sweep.settings.seeds == 5
    assert all(grid["depth"] == (5,) for grid in read_sweep(file, depth="5").grids)
