"""Planes hold what they are said to go through."""

import builtins

import numpy as np
import pytest

from zatlas.errors import UsageError, ZatlasError
from zatlas.latent import plane_of_units, plane_through, principal
from zatlas.latent.projections import umap

rng = np.random.default_rng(0)


def test_a_plane_through_three_codes_has_them_in_its_corners():
    codes = rng.normal(size=(3, 5))
    corners = plane_through(codes).codes(np.array([0.0, 1.0]), np.array([0.0, 1.0]))
    np.testing.assert_allclose(corners[[0, 0, 1], [0, 1, 0]], codes)
    np.testing.assert_allclose(corners[1, 1], codes[1] + codes[2] - codes[0])
    for bad in (np.outer([1, 2, 3], np.ones(4)), np.ones((3, 4)), codes[:2]):
        with pytest.raises(UsageError, match="plane"):
            plane_through(bad)


def test_the_plane_of_two_units_leaves_the_others():
    plane = plane_of_units(4, (2, 0), np.array([1.0, 2.0, 3.0, 4.0]))
    np.testing.assert_allclose(plane.codes(np.array([7.0]), np.array([8.0]))[0, 0], [8, 2, 7, 4])


def test_principal_directions_are_those_of_the_covariance_in_standard_deviations():
    codes = rng.normal(size=(500, 6)) @ rng.normal(size=(6, 6)) + 5
    found = principal(codes)
    values, vectors = np.linalg.eigh(np.cov(codes.T))
    np.testing.assert_allclose(np.abs(found.directions @ vectors[:, ::-1][:, :2]), np.eye(2), atol=1e-8)
    np.testing.assert_allclose(found.deviations**2, values[::-1][:2])
    np.testing.assert_allclose(found.shares, values[::-1][:2] / values.sum())
    points = found.project(codes)
    np.testing.assert_allclose(np.cov(points.T), np.diag(values[::-1][:2]), atol=1e-8)
    one_one = found.plane.codes(np.array([1.0]), np.array([1.0]))[0]
    np.testing.assert_allclose(found.project(one_one)[0], points.std(0, ddof=1))
    np.testing.assert_allclose(principal(codes[::-1]).directions, found.directions, atol=1e-8)
    with pytest.raises(UsageError, match="no two principal directions"):
        principal(codes[:, :1])


def test_a_missing_umap_says_what_mends_it(monkeypatch):
    real = builtins.__import__

    def without(name, *rest):
        if name == "umap":
            raise ImportError
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ZatlasError, match=r"pip install 'zatlas\[umap\]'"):
        umap(rng.normal(size=(9, 3)))
