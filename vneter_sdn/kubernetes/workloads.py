# SPDX-License-Identifier: Apache-2.0
"""Kinds that make pods: Deployment, StatefulSet, DaemonSet, Job and their like.

With no cluster nobody makes their pods, so they stand for them here: ``replicas`` pods of their
template, called ``<name>-0``, ``<name>-1`` and so on; those of a DaemonSet, one per Node that its
template's nodeSelector selects, ``<name>-<node>``, or one ``<name>-0`` when there are no Nodes.
Where their pods are among the manifests, those are taken as they are: pods that say who made them,
and pods that do not and have the labels that the workload selects.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec

from vneter_sdn.kubernetes.core import PodSpec, endpoint
from vneter_sdn.kubernetes.meta import LabelSelector, ObjectMeta, check_labels, selector
from vneter_sdn.kubernetes.naming import Cluster, Subject
from vneter_sdn.kubernetes.reading import Loose, read
from vneter_sdn.model.policy_kinds import Selector
from vneter_sdn.policy.findings import Findings
from vneter_sdn.policy.selectors import selects

MOST = 1000
"""Most pods of one workload."""


class PodTemplate(Loose, frozen=True, kw_only=True):
    """PodTemplateSpec."""

    metadata: ObjectMeta | None = None
    spec: PodSpec | None = None


class Ordinals(Loose, frozen=True, kw_only=True):
    """StatefulSetOrdinals."""

    start: int = 0


class WorkloadSpec(Loose, frozen=True, kw_only=True):
    """What the specs of all workloads have in common."""

    template: PodTemplate | None = None
    replicas: int | None = None
    parallelism: int | None = None
    selector: Any = None
    ordinals: Ordinals | None = None


class Condition(Loose, frozen=True, kw_only=True):
    """JobCondition."""

    type: str = ""
    status: str = ""


class WorkloadStatus(Loose, frozen=True, kw_only=True):
    """Of their status, what a Job says of its end."""

    conditions: tuple[Condition, ...] | None = None


def is_over(kind: str, status: Any, findings: Findings) -> bool:
    """Whether it is a Job that has done, or given up, what it was for."""
    if kind != "Job" or status is None:
        return False
    given = read(status, WorkloadStatus, "status", findings)
    return given is not None and any(
        one.type in {"Complete", "Failed"} and one.status == "True"
        for one in given.conditions or ()
    )


def wanted_labels(kind: str, spec: Any) -> Selector | None:
    """The labels of pods that are a workload's; None where it says none, or nothing that is sound.

    Jobs know their pods by labels that nobody writes.
    """
    findings = Findings(kind)
    given = read({} if spec is None else spec, WorkloadSpec, "spec", findings)
    if given is None or kind == "Job":
        return None
    chosen = _selector(given, kind, findings)
    return chosen if chosen is not None and chosen.match_labels else None


def workload(
    subject: Subject,
    spec: Any,
    nodes: Mapping[str, Mapping[str, str]],
    cluster: Cluster,
    findings: Findings,
) -> list[dict[str, Any]]:
    """The Endpoints that the pods of a workload become.

    Args:
        subject: the workload.
        spec: as given.
        nodes: labels of the Nodes among the manifests, by name.
        cluster: for notes and tenants.
        findings: of the workload.
    """
    given = read({} if spec is None else spec, WorkloadSpec, "spec", findings)
    if given is None:
        return []
    if given.template is None or given.template.spec is None:
        text = "is required: it says what the pods are"
        findings.add("spec.template.spec", "Missing", text)
        return []
    meta = given.template.metadata or ObjectMeta()
    labels = meta.labels or {}
    check_labels(labels, "spec.template.metadata.labels", findings)
    _check_selector(given, subject.kind, labels, findings)
    found: list[dict[str, Any]] = []
    for name, host in _pods(subject, given, nodes, findings):
        one = replace(subject, name=name, meta=meta)
        pod = given.template.spec
        if host:
            pod = msgspec.structs.replace(pod, node_name=host)
        found += endpoint(one, pod, (), cluster, findings)
    return found


def _pods(
    subject: Subject,
    spec: WorkloadSpec,
    nodes: Mapping[str, Mapping[str, str]],
    findings: Findings,
) -> list[tuple[str, str]]:
    """Name of each pod, and its host where that is known."""
    if subject.kind == "DaemonSet" and nodes:
        wanted = spec.template.spec.node_selector if spec.template and spec.template.spec else {}
        chosen = Selector(match_labels=wanted or {})
        return [
            (f"{subject.name}-{name}", name)
            for name, labels in sorted(nodes.items())
            if selects(chosen, labels)
        ]
    field, asked = "replicas", spec.replicas
    if subject.kind == "Job":
        field, asked = "parallelism", spec.parallelism
    count = 1 if asked is None or subject.kind == "DaemonSet" else asked
    if not 0 <= count <= MOST:
        text = f"{str(count)[:24]} pods: 0 to {MOST} of one workload are taken"
        findings.add(f"spec.{field}", "TooMany", text)
        return []
    start = spec.ordinals.start if spec.ordinals and subject.kind == "StatefulSet" else 0
    return [(f"{subject.name}-{start + number}", "") for number in range(count)]


def _check_selector(
    spec: WorkloadSpec, kind: str, labels: Mapping[str, str], findings: Findings
) -> None:
    """A workload must select the pods it makes, or the API server does not take it."""
    ours = _selector(spec, kind, findings)
    if ours is not None and not selects(ours, labels):
        text = "does not select the labels of the template, so it would never find its pods"
        findings.add("spec.selector", "SelectsNothing", text)


def _selector(spec: WorkloadSpec, kind: str, findings: Findings) -> Selector | None:
    """Whom a workload selects by matchLabels; None when it does not say, or not soundly."""
    if spec.selector is None or kind == "Job":
        return None
    if kind == "ReplicationController":
        wanted = read(spec.selector, dict[str, str], "spec.selector", findings)
        given = None if wanted is None else LabelSelector(match_labels=wanted)
    else:
        given = read(spec.selector, LabelSelector, "spec.selector", findings)
    if given is None:
        return None
    before = len(findings.problems)
    selector(given, "spec.selector", findings)
    if len(findings.problems) > before:
        return None
    return Selector(match_labels=given.match_labels or {})
