# SPDX-License-Identifier: Apache-2.0
"""Refusals say what would be right, in words."""

import pytest

from vneter_sdn.admission.manifest import Malformed, parse
from vneter_sdn.model.kinds import KINDS
from vneter_sdn.model.snapshot import Key


@pytest.mark.parametrize(
    ("kind", "spec", "field", "said"),
    [
        ("Endpoint", {"network": "w", "mac": "02"}, "mac", "An Ethernet address: 02:00:"),
        ("Endpoint", {"network": "W X"}, "network", "Lower-case letters, digits"),
        ("Policy", {"schedule": [{"hours": "8-17"}]}, "schedule[0].hours", "HH:MM-HH:MM of those"),
        ("Endpoint", {"network": "w", "addresses": ["a"] * 3}, "addresses", "at most 2 entries"),
        ("Network", {"prefixes": []}, "prefixes", "expected at least 1 entries"),
        ("Network", {"prefixes": ["x" * 65]}, "prefixes[0]", "expected at most 64 characters"),
        ("Network", {"prefixes": ["x"], "mtu": 1}, "mtu", "expected int >= 1280"),
        ("Host", {"ovsdb": "here"}, "ovsdb", "ssl:192.0.2.1:6640"),
        ("Host", {"ovsdb": "unix:/x", "bridge": "a b"}, "bridge", "at most 15"),
        (
            "Host",
            {"ovsdb": "unix:/x", "encapsulation": "stt"},
            "encapsulation",
            "'stt' is none of geneve, vxlan, gre",
        ),
        ("Network", {"prefixes": ["x"], "ra": {"mode": "x"}}, "ra.mode", "stateless, slaac, off"),
        (
            "Policy",
            {"ingress": [{"action": "x"}]},
            "ingress[0].action",
            "none of allow, drop, reject, pass",
        ),
        (
            "Policy",
            {"egress": [{}, {"ports": [{"protocol": "x"}]}]},
            "egress[1].ports[0].protocol",
            "'x' is none of tcp, udp, sctp, icmp, icmpv6",
        ),
        ("Policy", {"schedule": [{"days": ["x"]}]}, "schedule[0].days[0]", "none of mon, tue"),
    ],
)
def test_what_would_be_right_is_said(kind, spec, field, said):
    key = Key(kind, "red" if KINDS[kind].tenanted else "", "x")
    metadata = {"name": "x"} | ({"tenant": "red"} if key.tenant else {})
    manifest = {"apiVersion": "vneter.io/v1", "kind": kind, "metadata": metadata, "spec": spec}
    with pytest.raises(Malformed) as refused:
        parse(key, manifest)
    (problem,) = refused.value.problems
    assert problem.field == f"spec.{field}"
    assert said in problem.message
    assert "regex" not in problem.message


def test_only_the_words_of_that_field_are_told():
    manifest = {
        "apiVersion": "vneter.io/v1",
        "kind": "Policy",
        "spec": {"ingress": [{"action": 1}]},
    }
    manifest["metadata"] = {"name": "x", "tenant": "red"}
    manifest["spec"]["ingress"][0]["action"] = "x"
    with pytest.raises(Malformed) as refused:
        parse(Key("Policy", "red", "x"), manifest)
    (problem,) = refused.value.problems
    assert problem.message.endswith("'x' is none of allow, drop, reject, pass")
