# SPDX-License-Identifier: Apache-2.0
"""Where bridges are told to find their controller, and which datapath they are."""

import pytest

from vneter_sdn.compile.network import controller_target
from vneter_sdn.model.datapath import datapath_of
from vneter_sdn.model.kinds import HostSpec


@pytest.mark.parametrize(
    ("spec", "target"),
    [
        ({"ovsdb": "ssl:192.0.2.1:6640"}, "ssl:198.51.100.1:6653"),
        ({"ovsdb": "unix:/run/ovs/db.sock"}, "unix:/run/ovs/br-int.vneter"),
        ({"ovsdb": "unix:/run/ovs/db.sock", "controller": "tcp:1.2.3.4:5"}, "tcp:1.2.3.4:5"),
        ({"datapath_id": "000000000000000a"}, ""),
        ({"datapath_id": "000000000000000a", "controller": "unix:/run/c"}, "unix:/run/c"),
    ],
)
def test_the_target_of_a_host(spec, target):
    assert controller_target(HostSpec(**spec), "ssl:198.51.100.1:6653") == target


def test_a_datapath_is_named_or_chosen():
    assert datapath_of(HostSpec(ovsdb="unix:/x"), 7) == 0x7600000000000007
    assert datapath_of(HostSpec(datapath_id="000000000000000a"), 7) == 10
