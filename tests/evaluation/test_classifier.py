"""The classifier that samples are compared by."""

import numpy as np
import pytest
import torch

from zatlas.data import open_source
from zatlas.errors import UsageError, ZatlasError
from zatlas.evaluation import Figure
from zatlas.evaluation.classifier import load_classifier, train_classifier, unfit


@pytest.fixture(scope="module")
def digits():
    source = open_source("digits")
    rows = np.random.default_rng(0).permutation(len(source))
    x, y = source.read(rows), source.read_labels(rows)
    return x[:1500], y[:1500], x[1500:], y[1500:]


@pytest.fixture(scope="module")
def classifier(digits):
    return train_classifier(*digits[:2], epochs=6, batch_size=64, about={"data": "digits"})


@pytest.mark.slow
def test_it_learns_and_does_not_learn_labels_of_chance(digits, classifier):
    x, y, x_test, y_test = digits
    figure = classifier.accuracy(x_test, y_test)
    assert figure.value > 0.9
    assert figure.count == len(y_test)
    shuffled = np.random.default_rng(0).permutation(y)
    assert train_classifier(x, shuffled, epochs=2).accuracy(x_test, y_test).value < 0.3


@pytest.mark.parametrize(
    ("value", "error", "classes", "fit"),
    [
        (0.013, 0.006, np.arange(156), False),  # chance of many classes
        (0.45, 0.01, np.arange(156), False),
        (0.6, 0.01, np.arange(156), True),
        (0.97, 0.002, np.arange(10), True),
        (0.91, 0.005, np.repeat([0, 1], [9, 1]), False),  # one class is nine tenths
        (0.96, 0.005, np.repeat([0, 1], [9, 1]), True),
        (0.8, 0.12, np.arange(2), False),  # of few images, by chance
    ],
)
def test_features_of_a_classifier_that_cannot_classify_are_refused(value, error, classes, fit):
    reason = unfit(Figure(value, error, 100, "accuracy of grey-cnn"), np.tile(classes, 20))
    assert (reason is None) == fit
    if reason:
        assert f"{value:.3f}" in reason
        assert "commonest class's share" in reason


@pytest.mark.slow
def test_a_few_images_are_shown_until_it_has_learnt(digits):
    assert train_classifier(digits[0][:300], digits[1][:300]).accuracy(*digits[2:]).value > 0.85


def test_features_and_probabilities_are_of_each_image_alone(digits, classifier):
    x = digits[2]
    features, probabilities = classifier.features(x), classifier.probabilities(x)
    seen = classifier.features(digits[0])
    np.testing.assert_allclose(seen.mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(seen.std(0), 1, atol=1e-3)
    assert features.shape == (len(x), 64)
    assert probabilities.shape == (len(x), 10)
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-5)
    np.testing.assert_allclose(classifier.features(x[7:9]), features[7:9], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(classifier.features(x.astype(np.float32) / 255)[:5], features[:5], rtol=1e-4, atol=1e-5)


def test_the_same_seed_gives_the_same_weights_and_leaves_chance_alone(digits):
    x, y = digits[0][:200], digits[1][:200]
    torch.manual_seed(3)
    first = train_classifier(x, y, epochs=1, classes=10)
    drawn = torch.rand(1)
    torch.manual_seed(3)
    assert drawn == torch.rand(1)
    assert train_classifier(x, y, epochs=1, classes=10).sha256 == first.sha256
    assert train_classifier(x, y, epochs=1, classes=10, seed=1).sha256 != first.sha256


def test_a_file_brings_it_back(digits, classifier, tmp_path):
    path = tmp_path / "classifier.safetensors"
    classifier.save(path)
    found = load_classifier(path)
    assert found.name == classifier.name == f"grey-cnn {classifier.sha256[:6]}"
    assert found.extractor.name == found.name
    assert found.about == classifier.about
    assert found.about["data"] == "digits"
    np.testing.assert_array_equal(found.features(digits[2]), classifier.features(digits[2]))


def test_a_damaged_file_is_named(classifier, tmp_path):
    path = tmp_path / "classifier.safetensors"
    with pytest.raises(ZatlasError, match="cannot be read"):
        load_classifier(path)
    classifier.save(path)
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    with pytest.raises(ZatlasError, match="checksum"):
        load_classifier(path)
    path.write_bytes(content[:-100])
    with pytest.raises(ZatlasError, match="damaged"):
        load_classifier(path)


def test_colour_and_other_sizes():
    rng = np.random.default_rng(0)
    x, y = rng.random((64, 3, 20, 33), np.float32), np.arange(64) % 2
    found = train_classifier(x, y, epochs=1)
    assert found.name.startswith("rgb-cnn ")
    assert found.features(x).shape == (64, 64)
    with pytest.raises(UsageError, match=r"shape \(3, 20, 33\)"):
        found.features(x[:, :1])


@pytest.mark.parametrize(
    ("x", "y", "sentence"),
    [
        (np.zeros((5, 1, 4, 4)), np.arange(5), "at least 8x8"),
        (np.zeros((5, 64)), np.arange(5), "images"),
        (np.full((5, 1, 8, 8), np.nan), np.arange(5), "NaN"),
        (np.zeros((5, 1, 8, 8)), np.arange(4), "5 images and 4 labels"),
        (np.zeros((5, 1, 8, 8)), np.zeros(5, int), "of 1 classes cannot"),
        (np.zeros((5, 1, 8, 8)), np.linspace(0, 1, 5), "class numbers"),
    ],
)
def test_bad_words_are_refused(x, y, sentence):
    with pytest.raises(UsageError, match=sentence):
        train_classifier(x, y)
