"""Radii as texts and on two scales."""

import fractions

import pytest

from mmtf.errors import ConfigError
from mmtf.radius import epsilon_of, eta_of, parse_radius


@pytest.mark.parametrize("parts", range(1, 256))
def test_a_fraction_is_read_exactly(parts):
    """The float nearest to the fraction; eta, twice that, is exact as well."""
    epsilon = parse_radius(f"{parts}/255")
    assert epsilon == float(fractions.Fraction(parts, 255)) == parts / 255
    assert eta_of(epsilon) == float(fractions.Fraction(2 * parts, 255))
    assert epsilon_of(eta_of(epsilon)) == epsilon


@pytest.mark.parametrize("text", ["", "a", "8/", "/255", "1/0", "8/255/3", "8//255", "0.1/0.2"])
def test_another_text_is_refused(text):
    with pytest.raises(ConfigError, match="0.3 or 8/255. Received: "):
        parse_radius(text)
