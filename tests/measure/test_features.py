"""`measure_features`: layers of any kind and shape, provenance, notes, bad input."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pnc.curves import LayerCurve
from pnc.errors import InvalidInputError
from pnc.measure import measure_features
from tests.measure import slow
from tests.measure.cases import UNIT, cases


@settings(max_examples=25, deadline=None)
@given(cases(least=2), st.integers(1, 20))
def test_each_layer_is_measured_by_itself_whatever_the_batch(case, batch):
    layers = {3: case.x, 1: 2 * case.x[:, :1], 7: np.maximum(case.x, 0.1)}
    curve = measure_features(layers, case.y, batch=batch)
    assert curve.layers.tolist() == [1, 3, 7]
    for index, layer in enumerate((1, 3, 7)):
        x = layers[layer]
        exact = slow.measure(x, case.y, fuzziness=False)
        spread = float(min(exact.within, exact.between)) ** 0.5
        # class means are off by u of the largest norm for each batch merged
        error = 16 * x.size * UNIT * (1 + np.linalg.norm(x, axis=1).max() / spread) if spread else 1
        if error < 1e-6:
            assert curve.compression[index] == pytest.approx(exact.compression, rel=error)
            assert curve.within_scatter[index] == pytest.approx(float(exact.within), rel=error)
            assert curve.between_scatter[index] == pytest.approx(float(exact.between), rel=error)


def two_layers(dtype=np.float64):
    rng = np.random.default_rng(0)
    y = np.arange(30) % 3
    x = rng.standard_normal((30, 2, 3)) + y[:, None, None]
    return [x.astype(dtype), np.maximum(x, 0).astype(dtype)], y


def test_layers_are_flattened_and_numbered_from_the_input():
    features, y = two_layers()
    curve = measure_features(features, y)
    assert curve.layers.tolist() == [0, 1]
    exact = [slow.measure(x.reshape(30, 6), y) for x in features]
    np.testing.assert_allclose(curve.compression, [e.compression for e in exact], rtol=1e-12)
    np.testing.assert_allclose(curve.discrimination, [e.discrimination for e in exact], rtol=1e-11)
    np.testing.assert_allclose(curve.separation_fuzziness, [e.fuzziness for e in exact], rtol=1e-11)
    np.testing.assert_allclose(curve.within_scatter, [float(e.within) for e in exact], rtol=1e-12)
    np.testing.assert_allclose(curve.between_scatter, [float(e.between) for e in exact], rtol=1e-12)


def test_provenance_says_what_was_measured_and_survives_json():
    features, y = two_layers()
    curve = measure_features([features[0].astype(np.float32), features[1]], 2 * y)
    provenance = curve.provenance
    assert provenance["dtype"] == ["float32", "float64"]
    assert provenance["dimensions"] == [6, 6]
    assert (provenance["samples"], provenance["classes"], provenance["device"]) == (30, 3, "cpu")
    assert provenance["class_counts"] == [10, 10, 10]
    assert provenance["between_rank"] == [2, 2]
    assert provenance["notes"] == ["labels [0, 2, 4] were renumbered 0…2"]
    ratio = provenance["noise_floor"][0] / provenance["noise_floor"][1]
    assert 1e16 < ratio < 1e18  # (2²⁹)² apart from what differs between the layers
    assert LayerCurve.from_json(curve.to_json()) == curve
    json.dumps(curve.to_dict(), allow_nan=False)


def test_a_weak_direction_between_means_counts_unless_it_is_rounding():
    y = np.arange(300) % 3
    x = np.eye(3)[y] * [1, 1e-5, 0] + 1e-6 * np.random.default_rng(0).standard_normal((300, 3))
    exact = slow.measure(x, y)
    curve = measure_features({0: x, 1: x.astype(np.float32)}, y)
    assert curve.provenance["between_rank"] == [2, 2]
    np.testing.assert_allclose(curve.separation_fuzziness, exact.fuzziness, rtol=1e-2)
    rough = measure_features([x], y, dtypes={0: "bfloat16"})
    assert rough.provenance["between_rank"] == [1]


def test_fuzziness_is_an_option():
    features, y = two_layers()
    curve = measure_features(features, y, fuzziness=False)
    assert np.isnan(curve.separation_fuzziness).all()
    assert curve.provenance["between_rank"] == [None, None]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_torch_features_of_any_float_dtype(dtype):
    features, y = two_layers()
    tensors = [torch.from_numpy(x).to(dtype).requires_grad_() for x in features]
    curve = measure_features(tensors, torch.from_numpy(y))
    exact = [slow.measure(t.detach().to(torch.float64).numpy().reshape(30, 6), y) for t in tensors]
    np.testing.assert_allclose(curve.compression, [e.compression for e in exact], rtol=1e-12)
    np.testing.assert_allclose(curve.separation_fuzziness, [e.fuzziness for e in exact], rtol=1e-10)
    assert curve.provenance["dtype"] == [str(dtype).removeprefix("torch.")] * 2


def test_features_that_were_computed_in_another_dtype():
    features, y = two_layers(np.float32)
    plain = measure_features(features, y)
    rough = measure_features(features, y, dtypes={1: "bfloat16"})
    assert rough.provenance["dtype"] == ["float32", "bfloat16"]
    floors = np.array(rough.provenance["noise_floor"]) / np.array(plain.provenance["noise_floor"])
    np.testing.assert_allclose(floors, [1, 2.0**32])


def test_lists_memory_maps_and_integer_like_float_labels(tmp_path):
    features, y = two_layers()
    np.save(tmp_path / "x.npy", features[0])
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    expected = measure_features(features[:1], y)
    for x in (mapped, features[0].tolist()):
        assert measure_features([x], y.astype(np.float16)).compression == expected.compression


def test_one_sample_a_class_is_answered_with_a_note():
    curve = measure_features([np.eye(3)], [0, 1, 2])
    assert curve.compression[0] == 0
    assert curve.provenance["noise_floor"] == [0]
    assert any("one sample" in note for note in curve.provenance["notes"])


def test_undefined_numbers_are_answered_with_a_note():
    curve = measure_features({0: np.array([[1.0], [-1.0], [2.0]]), 4: np.ones((3, 2))}, [0, 0, 1])
    assert np.isnan(curve.discrimination[0])
    assert np.isnan(curve.compression[1])
    assert np.isnan(curve.separation_fuzziness[1])
    notes = "\n".join(curve.provenance["notes"])
    assert "layer 0: a class mean is zero" in notes
    assert "layer 4: the class means coincide" in notes


def broken(layer=1, sample=17, entry=4, value=np.nan):
    features, y = two_layers()
    features[layer].reshape(30, 6)[sample, entry] = value
    return features, y


BAD = {
    "layer 1: sample 17, entry 4 is nan": broken(),
    "layer 0: sample 29, entry 0 is -inf": broken(0, 29, 0, -np.inf),
    "got no layers": ([], [0, 1]),
    "layer 1 of shape (29, 2, 3) for 30 labels": (
        [two_layers()[0][0], two_layers()[0][1][1:]],
        two_layers()[1],
    ),
    "layer 0 of shape (30, 0)": ([np.empty((30, 0))], two_layers()[1]),
    "layer 0 of shape ()": ([np.array(1.0)], two_layers()[1]),
    "layer 'conv'": ({"conv": two_layers()[0][0]}, two_layers()[1]),
    "label -1 at sample 0": (two_layers()[0], two_layers()[1] - 1),
    "label 0.5": (two_layers()[0], two_layers()[1] / 2),
    "1 class in the labels": (two_layers()[0], np.zeros(30)),
    "dtype object": ([np.full((30, 2), None)], two_layers()[1]),
}


@pytest.mark.parametrize("message", BAD)
def test_bad_input_is_one_clear_line(message):
    with pytest.raises(InvalidInputError) as error:
        measure_features(*BAD[message], batch=7)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_stated_class_without_a_sample_and_a_batch_of_none_are_refused():
    features, y = two_layers()
    with pytest.raises(InvalidInputError, match="no sample in class 3"):
        measure_features(features, y, classes=4)
    with pytest.raises(InvalidInputError, match="batch = 0"):
        measure_features(features, y, batch=0)
