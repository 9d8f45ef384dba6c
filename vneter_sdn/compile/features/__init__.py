# SPDX-License-Identifier: Apache-2.0
"""Features of the data plane, one module each: pure generators of flows for named tables.

A new one is a module with a `Feature` called ``FEATURE``, and a line in ``FEATURES``. A unit is one
feature for one subject (a host, a network, an endpoint); it yields flows for whichever bridges hold
them, and runs again exactly when something it read has changed.
"""

from __future__ import annotations

from vneter_sdn.compile.features import (
    arrival,
    classify,
    complain,
    deliver,
    edge,
    gateway,
    learn,
    neighbour,
    output,
    path,
    pin,
    pipeline,
    police,
    policy,
    refused,
    reservation,
    route,
    router,
    size,
    spoof_guard,
    steer,
    switch,
    traffic,
    transit,
)
from vneter_sdn.compile.features.unit import Feature

FEATURES: tuple[Feature, ...] = (
    pipeline.FEATURE,
    classify.FEATURE,
    spoof_guard.FEATURE,
    refused.FEATURE,
    edge.FEATURE,
    router.FEATURE,
    neighbour.FEATURE,
    gateway.FEATURE,
    police.FEATURE,
    policy.FEATURE,
    switch.FEATURE,
    size.FEATURE,
    route.FEATURE,
    reservation.FEATURE,
    steer.FEATURE,
    path.FEATURE,
    traffic.FEATURE,
    pin.FEATURE,
    arrival.FEATURE,
    deliver.FEATURE,
    complain.FEATURE,
    transit.FEATURE,
    output.FEATURE,
    learn.FEATURE,
)
BY_ID: dict[int, Feature] = {feature.id: feature for feature in FEATURES}
