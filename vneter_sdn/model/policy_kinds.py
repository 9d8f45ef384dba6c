# SPDX-License-Identifier: Apache-2.0
"""Kinds about who may speak to whom: policies, tiers, groups, namespaces, assertions.

The words are those of the Kubernetes Network Policy API and of Antrea where they have one.
Manifests of Kubernetes and Antrea become these (`vneter_sdn.kubernetes`).
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from vneter_sdn.model.scalars import LabelKey, Labels, LabelValue, Name, Prefix, Spec, Text

Verdict = Literal["allow", "drop", "reject", "pass"]
Direction = Literal["ingress", "egress"]


class Requirement(Spec, frozen=True, kw_only=True):
    """One condition on a label, as in Kubernetes ``matchExpressions``."""

    key: LabelKey
    operator: Annotated[
        Literal["In", "NotIn", "Exists", "DoesNotExist"],
        Meta(description="NotIn and DoesNotExist hold where there is no such label, too."),
    ]
    values: Annotated[tuple[LabelValue, ...], Meta(max_length=256)] = ()


class Selector(Spec, frozen=True, kw_only=True):
    """Labels to have; every condition must hold. An empty selector selects everything."""

    match_labels: Annotated[Labels, Meta(description="Labels with exactly these values.")] = {}  # noqa: RUF012 - a Struct copies it
    match_expressions: Annotated[tuple[Requirement, ...], Meta(max_length=64)] = ()


class NamespaceSpec(Spec, frozen=True, kw_only=True):
    """A label scope within a tenant, as in Kubernetes. Its labels are in its metadata.

    Namespaces of one tenant may speak until a policy says otherwise. Each has the label
    ``kubernetes.io/metadata.name`` with its name, whether given or not.
    """

    description: Annotated[Text, Meta(description="For people.")] = ""


class NamedPort(Spec, frozen=True, kw_only=True):
    """A port of an endpoint that policies call by a name."""

    name: Annotated[str, Meta(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$(?!\n)")]
    protocol: Literal["tcp", "udp", "sctp"] = "tcp"
    port: Annotated[int, Meta(ge=1, le=65535)]


class PortMatch(Spec, frozen=True, kw_only=True):
    """Which connections by what they are for: protocol and destination port, or ICMP type."""

    protocol: Annotated[
        Literal["tcp", "udp", "sctp", "icmp", "icmpv6"],
        Meta(description="icmp is ICMP for IPv4, icmpv6 that for IPv6."),
    ] = "tcp"
    port: Annotated[
        Annotated[int, Meta(ge=1, le=65535)]
        | Annotated[str, Meta(min_length=1, max_length=63)]
        | None,
        Meta(
            description="A number, or the name of a port of whoever is spoken to; any when absent."
        ),
    ] = None
    end_port: Annotated[
        Annotated[int, Meta(ge=1, le=65535)] | None,
        Meta(description="Last of a range that begins with port, a number."),
    ] = None
    icmp_type: Annotated[
        Annotated[int, Meta(ge=0, le=255)] | None, Meta(description="Of ICMP; any when absent.")
    ] = None
    icmp_code: Annotated[
        Annotated[int, Meta(ge=0, le=255)] | None, Meta(description="Of ICMP; any when absent.")
    ] = None


class Who(Spec, frozen=True, kw_only=True):
    """Whom a policy is about, or who speaks to them: one of the following.

    Endpoints by labels (of theirs, of their namespaces, of both), a group, addresses, names.
    """

    namespaces: Annotated[
        Selector | None, Meta(description="Endpoints in namespaces with these labels.")
    ] = None
    endpoints: Annotated[Selector | None, Meta(description="Endpoints with these labels.")] = None
    group: Annotated[Name | None, Meta(description="A Group of the same tenant.")] = None
    cidr: Annotated[Prefix | None, Meta(description="Addresses, of endpoints or not.")] = None
    excluded: Annotated[
        tuple[Prefix, ...], Meta(max_length=256, description="Left out; all within cidr.")
    ] = ()
    domain: Annotated[
        Annotated[str, Meta(min_length=1, max_length=253)] | None,
        Meta(
            description="egress only: a DNS name; '*' in it stands for any characters, so that "
            "*.example.com is every name below that one."
        ),
    ] = None
    same_labels: Annotated[
        Annotated[tuple[LabelKey, ...], Meta(min_length=1, max_length=16)] | None,
        Meta(
            description="Endpoints in namespaces whose values of these labels are those of the "
            "namespace of whom the policy is about; kubernetes.io/metadata.name: the same one. "
            "With endpoints: those among them."
        ),
    ] = None
    not_same_labels: Annotated[
        Annotated[tuple[LabelKey, ...], Meta(min_length=1, max_length=16)] | None,
        Meta(
            description="Endpoints in namespaces that have these labels as the namespace of whom "
            "the policy is about has them, but at least one with another value. With endpoints: "
            "those among them."
        ),
    ] = None
    hosts: Annotated[
        Selector | None, Meta(description="The tunnel addresses of hosts with these labels.")
    ] = None


class PolicyRule(Spec, frozen=True, kw_only=True):
    """What to do with some connections, one way."""

    name: Annotated[Text, Meta(description="For people, counters and the audit log.")] = ""
    action: Annotated[
        Verdict,
        Meta(
            description="reject answers with a TCP reset or ICMP; pass skips the remaining tiers, "
            "to Kubernetes NetworkPolicies and then the baseline."
        ),
    ] = "allow"
    peers: Annotated[
        Annotated[tuple[Who, ...], Meta(max_length=10000)] | None,
        Meta(
            description="Who begins the connection (ingress), or whom it is to (egress); anybody "
            "when absent, nobody when empty."
        ),
    ] = None
    ports: Annotated[
        Annotated[tuple[PortMatch, ...], Meta(max_length=1024)] | None,
        Meta(description="Any when absent."),
    ] = None
    applies_to: Annotated[
        Annotated[tuple[Who, ...], Meta(min_length=1, max_length=1024)] | None,
        Meta(description="Whom this rule is about; whom the policy is about when absent."),
    ] = None
    stateful: Annotated[
        bool, Meta(description="False: replies need a rule of their own, nothing is tracked.")
    ] = True
    log: Annotated[bool, Meta(description="One audit line for each new connection it decides.")] = (
        False
    )


class Window(Spec, frozen=True, kw_only=True):
    """When a policy is in force, in UTC."""

    start: Annotated[
        Annotated[str, Meta(max_length=40)] | None,
        Meta(description="RFC 3339; from the beginning."),
    ] = None
    end: Annotated[
        Annotated[str, Meta(max_length=40)] | None, Meta(description="RFC 3339; for ever.")
    ] = None
    days: Annotated[
        tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...],
        Meta(description="On these days; on all when empty."),
    ] = ()
    hours: Annotated[
        Annotated[str, Meta(pattern=r"^([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d$(?!\n)")]
        | None,
        Meta(description="HH:MM-HH:MM of those days; over midnight when the first is later."),
    ] = None


class PolicySpec(Spec, frozen=True, kw_only=True):
    """Who may speak to some endpoints of a tenant, and to whom those may speak.

    Tiers are asked in order of their priority, within one the policies in order of theirs, then
    the rules in order: the first that matches decides. Those of tier ``kubernetes`` have no order:
    an endpoint that any of them isolates may do what some of them allows, and nothing else.
    """

    tier: Annotated[
        Name,
        Meta(
            description="A Tier, or a built-in one: emergency (50), securityops (100), networkops "
            "(150), platform (200), cluster-admin (220), application (250), admin (251), "
            "kubernetes, baseline (253), baseline-admin (254)."
        ),
    ] = "application"
    priority: Annotated[float, Meta(ge=0, le=10000, description="The lowest is asked first.")] = 5
    applies_to: Annotated[
        tuple[Who, ...],
        Meta(max_length=1024, description="Endpoints or groups; every endpoint when empty."),
    ] = ()
    isolates: Annotated[
        tuple[Direction, ...],
        Meta(max_length=2, description="Tier kubernetes: what is denied unless allowed."),
    ] = ()
    ingress: Annotated[tuple[PolicyRule, ...], Meta(max_length=10000)] = ()
    egress: Annotated[tuple[PolicyRule, ...], Meta(max_length=10000)] = ()
    established: Annotated[
        Literal["keep", "reevaluate"],
        Meta(
            description="What becomes of connections that a change of this policy would not allow "
            "any more: they go on, or are cut."
        ),
    ] = "reevaluate"
    schedule: Annotated[
        tuple[Window, ...],
        Meta(max_length=64, description="In force within any; always when empty."),
    ] = ()


class ClusterPolicySpec(PolicySpec, frozen=True, kw_only=True):
    """A policy of the operator, for several tenants; it never opens one to another."""

    tenants: Annotated[
        tuple[Name, ...], Meta(max_length=1024, description="Of these tenants; all when empty.")
    ] = ()


class TierSpec(Spec, frozen=True, kw_only=True):
    """A place in the order in which policies are asked."""

    priority: Annotated[
        int,
        Meta(ge=0, le=249, description="The lowest is asked first; each may be taken once."),
    ]
    description: Annotated[Text, Meta(description="For people.")] = ""


class GroupSpec(Spec, frozen=True, kw_only=True):
    """Endpoints and addresses under one name, for policies of the same tenant."""

    members: Annotated[
        tuple[Who, ...],
        Meta(max_length=1024, description="The union of these, other groups among them."),
    ] = ()


class AssertedEnd(Spec, frozen=True, kw_only=True):
    """One side of an assertion: endpoints of a tenant by labels, or addresses outside."""

    tenant: Annotated[Name | None, Meta(description="Of this tenant; of any when absent.")] = None
    namespaces: Annotated[Selector | None, Meta(description="In namespaces with these labels.")] = (
        None
    )
    endpoints: Annotated[Selector | None, Meta(description="With these labels.")] = None
    cidr: Annotated[
        Prefix | None, Meta(description="Instead: addresses that are no endpoint's.")
    ] = None


class AssertionSpec(Spec, frozen=True, kw_only=True):
    """What must hold whatever is applied; ``vneterctl verify`` proves it on the compiled flows."""

    source: AssertedEnd
    target: AssertedEnd
    ports: Annotated[
        tuple[PortMatch, ...], Meta(max_length=256, description="For these; for all when empty.")
    ] = ()
    expect: Annotated[
        Literal["allowed", "denied"],
        Meta(description="Every pair may connect, or none may."),
    ] = "allowed"
    waypoints: Annotated[
        tuple[Name, ...], Meta(max_length=8, description="Hosts whose bridges all of it passes.")
    ] = ()
    regions: Annotated[
        tuple[Text, ...], Meta(max_length=32, description="Regions that none of it leaves.")
    ] = ()
