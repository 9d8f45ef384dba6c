# SPDX-License-Identifier: Apache-2.0
"""Blocks minus exclusions against the addresses one by one."""

from ipaddress import IPv4Network, ip_address, ip_network
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vneter_sdn.policy.prefixes import contains, disjoint, parse, remaining
from vneter_sdn.policy.rule import Block

WHOLE = ip_network("10.0.0.0/24")
HOLES = st.builds(
    lambda first, length: ip_network((f"10.0.0.{first}", length), strict=False),
    st.integers(0, 255),
    st.integers(24, 32),
)


@given(st.lists(HOLES, max_size=6))
def test_what_remains_are_the_addresses_in_no_hole(holes: list[IPv4Network]) -> None:
    left = remaining(WHOLE, holes)
    wanted = {one for one in WHOLE if not any(one in hole for hole in holes)}
    assert [one for part in left for one in part] == sorted(wanted), "in order, each once"
    block = Block(str(WHOLE), tuple(map(str, holes)))
    assert {one for one in WHOLE if contains(block, one)} == wanted


@given(st.lists(HOLES, max_size=6))
def test_no_fewer_prefixes_would_do(holes: list[IPv4Network]) -> None:
    left = remaining(WHOLE, holes)
    for one, other in pairwise(left):
        assert (
            one.prefixlen != other.prefixlen
            or one.supernet() != other.supernet()
            or (one.supernet(new_prefix=one.prefixlen - 1) != other.supernet())
        )


def test_a_hole_of_the_other_family_changes_nothing() -> None:
    assert remaining(ip_network("::/0"), [WHOLE]) == (ip_network("::/0"),)


def test_one_hole_in_all_of_ipv6() -> None:
    block = Block("::/0", ("2001:db8::1/128",))
    left = disjoint(block)
    assert len(left) == 128
    assert not contains(block, ip_address("2001:db8::1"))
    assert contains(block, ip_address("2001:db8::2"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("10.0.0.1", "write 10.0.0.1/32"),
        ("fd00::1", "write fd00::1/128"),
        ("10.0.0.0/33", "is no prefix"),
        ("10.0.0.0/255.0.0.0", "is no prefix"),
        ("10.0.0.0/08", "is no prefix"),
        ("010.0.0.0/8", "is no prefix"),
        ("10.0.0/8", "is no prefix"),
        ("::ffff:10.0.0.0/104", "written as IPv6"),
        ("fe80::1%eth0/64", "is no prefix"),
        ("", "no prefix length"),
        ("everything", "no prefix length"),
        ("10.0.0.0/٨", "is no prefix"),
        ("/" * 10_000, "is no prefix"),
    ],
)
def test_what_is_no_prefix_is_refused_with_advice(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=r"(?s).") as caught:
        parse(text)
    assert said in str(caught.value)
    assert len(str(caught.value)) < 200


def test_bits_beyond_the_length_are_dropped() -> None:
    assert str(parse("10.244.2.77/24")) == "10.244.2.0/24"
