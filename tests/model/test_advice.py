# SPDX-License-Identifier: Apache-2.0
"""What was meant perhaps."""

import pytest

from vneter_sdn.model.advice import advice, nearest

NAMES = ["Network", "Endpoint", "labelSelector"]


@pytest.mark.parametrize(
    ("given", "near"),
    [
        ("Netwrok", "Network"),
        ("network", "Network"),
        ("LABELSELECTOR", "labelSelector"),
        ("zzz", ""),
        ("", ""),
        (5, ""),
        ("x" * 1_000_000, ""),
    ],
)
def test_the_nearest_name(given, near):
    assert nearest(given, NAMES) == near


def test_advice():
    assert advice("endpoints", NAMES) == "did you mean 'Endpoint'?"
    assert advice("zzz", NAMES) == "it is one of Network, Endpoint, labelSelector"
