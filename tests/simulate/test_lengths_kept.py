# SPDX-License-Identifier: Apache-2.0
"""A real bridge measures frames as the simulator does: with the Ethernet header, to the octet."""

from ipaddress import ip_address

import pytest

from vneter_sdn.model.flow import BridgeState, CheckLength, Flow, Output, match
from vneter_sdn.pipeline.text import flow_text
from vneter_sdn.simulate.bridge import run
from vneter_sdn.simulate.packet import Packet
from vneter_sdn.southbound.openflow.datagram import Datagram, written

LIMIT = 1314
HEADERS = 14 + 20 + 8
ENDS = (1, 2, ip_address("10.0.0.1"), ip_address("10.0.0.2"))
FLOWS = (
    Flow(0, 1, (), (CheckLength(LIMIT, "reg0", 5),), 5),
    Flow(5, 2, match(reg0=(1 << 5, 1 << 5)), (Output(2),)),
    Flow(5, 1, (), (Output(3),)),
)


@pytest.mark.ovs
def test_to_the_octet(sandbox):
    bridge = sandbox.bridge((1, 2, 3))
    bridge.record()
    bridge.load_text("\n".join(map(flow_text, FLOWS)))
    for length in (60, LIMIT - 1, LIMIT, LIMIT + 1, 1514):
        frame = written(Datagram(*ENDS, 1, 53, bytes(length - HEADERS)))
        sandbox.control("netdev-dummy/receive", f"{bridge.name}p1", frame.hex())
        packet = Packet(in_port=1, length=length)
        (port,) = [sent.port for sent in run(BridgeState.of(FLOWS), packet).outputs]
        assert port == (2 if length > LIMIT else 3)
        assert len(bridge.next_frame(port)) == length
