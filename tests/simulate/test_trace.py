# SPDX-License-Identifier: Apache-2.0
"""Where a flow asks for a packet's length, a trace follows both outcomes; one of them counts."""

from vneter_sdn.simulate.trace import parse_trace, passed

TEXT = """\
Flow: icmp,in_port=1,vlan_tci=0x0000,nw_src=10.0.1.2,nw_dst=10.0.2.2,nw_ttl=64

bridge("b1")
------------
 0. priority 1, cookie 0x1
    goto_table:80
80. ip, priority 200, cookie 0x2
    check_pkt_larger(1314)->NXM_NX_REG0[5]
    goto_table:85
    85. ip,reg0=0x20/0x20, priority 1500, cookie 0x3
            CONTROLLER:1294
    goto_table:85
85. ip, priority 1052, cookie 0x4
    output:2

Final flow: unchanged
Megaflow: recirc_id=0,eth,icmp,in_port=1
Datapath actions: check_pkt_len(size=1314,gt(userspace(pid=0,controller(reason=1,id=0))),le(3))
"""


def test_what_fits_is_what_is_told():
    told = parse_trace(TEXT)
    assert told.lookups == ((0, 1), (80, 200), (85, 1052))
    assert (told.ports, told.punts, told.actions) == ((3,), 0, ("3",))


def test_a_bridge_of_a_trace_is_told_alike():
    told = passed(TEXT, "b1")
    assert told.lookups == ((0, 1, 1), (80, 200, 2), (85, 1052, 4))
    assert told.ports == (2,)
