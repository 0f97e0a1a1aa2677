"""Linear codes: PCA and logistic PCA, beside which a deep auto-encoder stands."""

from pathlib import Path

import numpy as np
import pytest
import torch
from params_file import shipped
from scipy.optimize import approx_fprime, minimize
from sklearn.linear_model import LogisticRegression

from ebmrepro import data
from ebmrepro.config import params
from ebmrepro.config.linear_codes import LinearCodes, Logistic
from ebmrepro.studies import linear_codes

SHIPPED = shipped()
ASKED = Logistic(penalty=0.5, iterations=500)


def pixels(n: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, width), dtype=np.uint8)


def test_the_objective_by_hand():
    """One white and one black pixel, z = 2, A = (1, -1), mu = 0: logits 2 and -2."""
    x = np.array([[255, 0]], np.uint8)
    z, axes, offsets = np.array([[2.0]]), np.array([[1.0], [-1.0]]), np.zeros(2)
    value, gradient = linear_codes.objective(x, z, axes, offsets, penalty=0.5)
    # log(1 + e^2) - 2 + log(1 + e^-2) = 2 log(1 + e^-2); the penalty is (4 + 2) / 4
    assert value == pytest.approx(2 * np.log1p(np.exp(-2)) + 1.5)
    p = 1 / (1 + np.exp(2))  # residuals are -p and p
    assert gradient == pytest.approx([-2 * p + 1, -2 * p + 0.5, 2 * p - 0.5, -p, p])


def test_the_gradient_is_that_of_finite_differences(monkeypatch):
    monkeypatch.setattr(linear_codes, "AT_A_TIME", 2)
    x, random = pixels(5, 4), np.random.default_rng(1)
    flat = random.standard_normal(5 * 2 + 4 * 2 + 4)

    def at(point: np.ndarray) -> tuple[float, np.ndarray]:
        z, axes = point[:10].reshape(5, 2), point[10:18].reshape(4, 2)
        return linear_codes.objective(x, z, axes, point[18:], 0.3)

    by_differences = approx_fprime(flat, lambda point: at(point)[0], 1e-7)
    assert at(flat)[1] == pytest.approx(by_differences, abs=1e-5)


def test_the_code_of_an_image_is_scikit_learns_logistic_regression_of_its_bits():
    """Given axes, a code is the coefficients of a penalised regression of the pixels on them."""
    axes = np.random.default_rng(2).standard_normal((40, 3))
    bits = (pixels(4, 40) > 127).astype(np.uint8) * 255
    codes = linear_codes.encode(bits, axes, np.zeros(40), ASKED)
    for row, code in zip(bits, codes, strict=True):
        model = LogisticRegression(C=1 / ASKED.penalty, fit_intercept=False, tol=1e-10)
        expected = model.fit(axes, row > 0).coef_[0]
        assert code == pytest.approx(expected, abs=1e-4)


def test_the_fit_is_the_minimum_that_another_solver_finds():
    """Conjugate gradients on the sum as it is written, from starts of their own."""
    x, k = pixels(8, 5), 2

    def plain(flat: np.ndarray) -> float:
        z, axes, mu = flat[:16].reshape(8, k), flat[16:26].reshape(5, k), flat[26:]
        p = 1 / (1 + np.exp(-(mu + z @ axes.T)))
        entropy = -(x / 255 * np.log(p) + (1 - x / 255) * np.log(1 - p)).sum()
        return entropy + 0.05 / 2 * (np.square(z).sum() + np.square(axes).sum())

    starts = np.random.default_rng(3).standard_normal((4, 31))
    best = min(minimize(plain, start, method="CG", tol=1e-7).fun for start in starts)
    asked = Logistic(penalty=0.05, iterations=2000)
    axes, offsets = linear_codes.fit(x, k, asked, seed=0)
    codes = linear_codes.encode(x, axes, offsets, asked)
    assert plain(np.concatenate([codes.ravel(), axes.ravel(), offsets])) == pytest.approx(
        best, rel=1e-5
    )


def test_logits_of_low_rank_are_found_again():
    """Of images whose logits have rank 2, two components rebuild more than PCA's two."""
    random = np.random.default_rng(4)
    logits = 3 * random.standard_normal((300, 2)) @ random.standard_normal((2, 30))
    images = np.rint(255 / (1 + np.exp(-logits))).astype(np.uint8).reshape(300, 1, 5, 6)
    train, test = images[:200], images[200:]
    asked = Logistic(penalty=1e-3, iterations=300)
    error = linear_codes.logistic_pca_error(train, test, 2, asked, seed=0)
    linear = linear_codes.pca_error([train], test, 2)
    assert error < 0.05 and linear > 5 * error


def test_the_total_variance_is_that_of_both_splits_together():
    x = pixels(30, 4).reshape(30, 1, 2, 2)
    expected = (x.reshape(30, -1) / 255).var(axis=0).sum()
    assert linear_codes.total_variance([x[:21], x[21:]]) == pytest.approx(expected)


def test_the_stage_leaves_a_document_of_a_system(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data.prepare("digits", SHIPPED.suites["digits"].data, Path("data/digits"))
    asked = LinearCodes(components=2, wide=6, logistic=Logistic(penalty=1.0, iterations=5))
    digits = SHIPPED.suites["digits"].model_copy(update={"linear_codes": asked})
    settings = SHIPPED.model_copy(update={"suites": {"digits": digits}})
    torch.set_num_threads(2)
    document = linear_codes.write("digits", 3, settings)
    assert torch.get_num_threads() == 1  # on any machine the same sums
    path = Path("results/digits/linear_codes/3/metrics.json")
    assert params.read_yaml(path)["values"] == pytest.approx(document["values"])
    assert set(document["values"]) == {
        *("mean_image_sum_sq", "total_variance"),
        *("pca_sum_sq", "pca_sum_sq_wide", "logistic_pca_sum_sq", "logistic_pca_sum_sq_wide"),
    }
    told = document["protocol"]["linear_codes"]
    assert told == "1,437 training images, 360 of test; components: 2 and 6"
    plain = asked.model_copy(update={"logistic": None, "wide": None})
    digits = digits.model_copy(update={"linear_codes": plain})
    values = linear_codes.write(
        "digits", 3, SHIPPED.model_copy(update={"suites": {"digits": digits}})
    )
    assert set(values["values"]) == {"mean_image_sum_sq", "total_variance", "pca_sum_sq"}
