# SPDX-License-Identifier: Apache-2.0
"""The door: manifests of Kubernetes and Antrea come in, manifests of our own kinds go on.

Nothing is passed over in silence: what a manifest says and we cannot do is refused with a reason,
and kinds that say nothing about who may speak to whom are left out with a note.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import islice
from typing import Any

from vneter_sdn.errors import IntentError, Problem
from vneter_sdn.kubernetes import antrea_groups, core, syntax
from vneter_sdn.kubernetes.catalogue import CLUSTERED, POLICIES, USUAL, VERSIONS, WORKLOADS
from vneter_sdn.kubernetes.meta import ObjectMeta, Owner, check_labels
from vneter_sdn.kubernetes.naming import TENANT, Cluster, Hosted, Subject, shortened
from vneter_sdn.kubernetes.reading import MOST_UNKNOWN, read, unknown
from vneter_sdn.kubernetes.services import ServiceSpec, service
from vneter_sdn.kubernetes.workloads import is_over, wanted_labels, workload
from vneter_sdn.model import jsontext
from vneter_sdn.model.documents import items_of
from vneter_sdn.model.fieldpaths import above, below
from vneter_sdn.model.kinds import API_VERSION, KINDS
from vneter_sdn.policy.findings import Findings
from vneter_sdn.policy.selectors import selects

_OURS = API_VERSION.partition("/")[0]
_VERSION = re.compile(r"([a-z0-9][-a-z0-9.]{0,252}/)?v[0-9]+((alpha|beta)[0-9]+)?\Z", re.ASCII)
_TOP = ("apiVersion", "kind", "metadata", "spec", "status")
_DEFAULT = "default"
_KINDRED = (".k8s.io", "antrea.io", ".antrea.tanzu.vmware.com")
"""How groups end that Kubernetes and Antrea have, or had."""


@dataclass(frozen=True, slots=True)
class Translated:
    """What foreign manifests have become."""

    manifests: tuple[dict[str, Any], ...]
    """Of our own kinds; those that were ours already are as they were."""
    notes: tuple[str, ...] = ()
    """What was left out or is without effect, for people."""
    hosted: tuple[Hosted, ...] = ()
    """Pods that are none of the manifests, for they are on the networks of their nodes."""
    nodes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Addresses of nodes, declared or not, as the statuses of their pods have them."""


@dataclass(slots=True)
class _Document:
    """One manifest, identified as far as it can be."""

    subject: Subject
    value: Mapping[str, Any]
    findings: Findings
    sound: bool = True
    """Whether it is known well enough to be translated."""


@dataclass(slots=True)
class _Batch:
    """All manifests of one call."""

    own: list[dict[str, Any]] = field(default_factory=list)
    documents: list[_Document] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    services: dict[tuple[str, str], ServiceSpec] = field(default_factory=dict)


def is_foreign(manifest: Any) -> bool:
    """Whether a manifest is written for Kubernetes, by its apiVersion and kind.

    By its kind alone when it has no apiVersion, and none of ours is called so.
    """
    if not isinstance(manifest, Mapping):
        return False
    version, kind = manifest.get("apiVersion"), manifest.get("kind")
    if version is None and isinstance(kind, str):
        return kind in VERSIONS and kind not in KINDS
    if not isinstance(version, str) or not isinstance(kind, str):
        return False
    if version.partition("/")[0] == _OURS or not _VERSION.match(version):
        return False
    items = items_of(manifest)
    if items is not None:
        return any(is_foreign(item) for item in items if items_of(item) is None)
    return kind in VERSIONS or kind not in KINDS


def native(
    manifests: Sequence[Any],
    *,
    tenant: str = "cluster",
    tenants: Mapping[str, str] | None = None,
    hosts: Collection[str] = (),
    places: Sequence[str] | None = None,
) -> Translated:
    """Translate manifests; those of our own kinds go through as they are.

    Args:
        manifests: plain JSON values; Lists stand for their items.
        tenant: of namespaces that say nothing else.
        tenants: by namespace, for those known from before that say something else.
        hosts: names of Hosts known from before; their Nodes say nothing new.
        places: what to call manifests that have no name; ``document 1`` and so on by default.

    Raises:
        IntentError: with every problem of every manifest.
    """
    batch = _Batch()
    for position, value in enumerate(manifests):
        _open(value, places[position] if places else f"document {position + 1}", batch)
    cluster = Cluster(tenant, dict(tenants or {}), batch.notes, services=batch.services)
    _assign(batch, cluster)
    _repeated(batch)
    made = batch.own + _translate(batch, cluster, {*hosts, *_own_hosts(batch.own)})
    for document in batch.documents:
        batch.problems += _deepest(document.findings.problems)
    batch.problems += _clashes(made)
    if batch.problems:
        raise IntentError(*dict.fromkeys(batch.problems))
    notes = tuple(dict.fromkeys(batch.notes))
    return Translated(tuple(made), notes, tuple(cluster.hosted), cluster.nodes)


def _open(value: Any, place: str, batch: _Batch) -> None:
    items = items_of(value)
    if items is not None:
        for number, item in enumerate(items):
            if items_of(item) is not None:
                text = "a list within a list is not read; write its items one by one"
                batch.problems.append(Problem(place, f"items[{number}]", "NestedList", text))
            else:
                _open(item, f"{place} items[{number}]", batch)
    elif not is_foreign(value):
        if isinstance(value, dict):
            batch.own.append(value)
        else:
            text = "a manifest is a map with apiVersion, kind and metadata"
            batch.problems.append(Problem(place, "", "WrongType", text))
    elif _unreadable(value):
        batch.problems.append(Problem(place, "", "InvalidText", _unreadable(value)))
    elif value["kind"] not in VERSIONS or _namesake(value):
        _other(value, place, batch)
    else:
        batch.documents.append(_identified(value, place))


def _unreadable(value: Any) -> str:
    """Why no store can keep a value; empty when one can."""
    try:
        jsontext.check(value)
    except ValueError as error:
        return str(error)
    return ""


def _namesake(value: Mapping[str, Any]) -> bool:
    """Whether a kind is called like one that is translated, and somebody else's: Longhorn's Node.

    Versions and groups that were Kubernetes' or Antrea's once are not, nor is any policy.
    """
    kind, group = value["kind"], str(value.get("apiVersion") or "").rpartition("/")[0]
    known = {version.rpartition("/")[0] for version in VERSIONS[kind]}
    foreign = "." in group and group not in known and not group.endswith(_KINDRED)
    return foreign and not kind.endswith("NetworkPolicy")


def _other(value: Mapping[str, Any], place: str, batch: _Batch) -> None:
    """A kind that is not translated: left out, unless it means to restrict who may speak."""
    version, kind = value["apiVersion"], value["kind"][:64]
    near = get_close_matches(kind, VERSIONS, n=1, cutoff=0.85)
    if near and near[0] != kind:
        text = f"there is no kind {kind!r}; did you mean {near[0]!r}?"
        batch.problems.append(Problem(place, "kind", "UnknownKind", text))
    elif kind.endswith(("NetworkPolicy", "NetworkPolicyList", "NetworkSet")):
        text = (
            f"{kind} of {version[:64]} is not understood, and a policy is not left out in silence; "
            f"write it as one of {', '.join(USUAL)}"
        )
        batch.problems.append(Problem(place, "kind", "UnknownKind", text))
    else:
        batch.notes.append(f"{place}: {kind} of {version[:64]} is left out; no network is in it")
        if (version, kind) == ("v1", "Service"):
            _note_service(value, place, batch)


def _note_service(value: Mapping[str, Any], place: str, batch: _Batch) -> None:
    """Keep a Service for those who refer to it; what is wrong with it is no problem otherwise."""
    findings = Findings(f"Service in {place}")
    given = value.get("metadata")
    meta = read({} if given is None else given, ObjectMeta, "metadata", findings)
    found = service(value.get("spec"), findings)
    for problem in findings.problems:
        batch.notes.append(f"{place}: {problem.field}: {problem.message}")
    if meta is None or not meta.name or found is None or findings.problems:
        return
    if batch.services.setdefault((meta.namespace or _DEFAULT, meta.name), found) != found:
        text = f"Service {meta.name[:64]} is given twice; keep one of them"
        batch.problems.append(Problem(place, "metadata.name", "Repeated", text))


def _identified(value: Mapping[str, Any], place: str) -> _Document:
    """Who a manifest is; every problem with that is noted."""
    kind, version = value["kind"], value.get("apiVersion") or ""
    findings = Findings(f"{kind} in {place}")
    given = value.get("metadata")
    meta = read({} if given is None else given, ObjectMeta, "metadata", findings)
    kept = meta or ObjectMeta()
    name, namespace = kept.name or "", kept.namespace or ""
    if kind not in CLUSTERED:
        namespace = namespace or _DEFAULT
    if name:
        shown = f"{namespace}/{name}" if namespace else name
        findings.subject = f"{kind} {shown}"
        findings.problems = [
            Problem(findings.subject, one.field, one.reason, one.message)
            for one in findings.problems
        ]
    subject = Subject(version, kind, kept, name, namespace)
    document = _Document(subject, value, findings, sound=meta is not None)
    _check_envelope(document)
    return document


def _check_envelope(document: _Document) -> None:
    subject, findings = document.subject, document.findings
    kind, meta = subject.kind, subject.meta
    if not subject.version:
        text = f"is required; write {' or '.join(VERSIONS[kind])}"
        findings.add("apiVersion", "Missing", text)
        document.sound = False
    elif subject.version not in VERSIONS[kind]:
        group = f"{subject.version.partition('/')[0]}/"
        near = [version for version in VERSIONS[kind] if version.startswith(group)]
        text = (
            f"{kind} of {subject.version[:64]} is not understood; write "
            f"{' or '.join(near or VERSIONS[kind])}"
        )
        findings.add("apiVersion", "UnsupportedVersion", text)
        document.sound = False
    for field_name in islice((one for one in document.value if one not in _TOP), MOST_UNKNOWN):
        at = below("", str(field_name)[:64])
        findings.add(at, "UnknownField", unknown("field", field_name, _TOP))
    if not subject.name:
        text = "is required: here nobody makes one up, not from generateName either"
        findings.add("metadata.name", "Missing", text)
        document.sound = False
    elif kind == "Namespace":
        findings.reading("metadata.name", "BadName", syntax.dns_label, subject.name)
    else:
        findings.reading("metadata.name", "BadName", syntax.dns_subdomain, subject.name)
    if kind in CLUSTERED and meta.namespace:
        text = f"objects of kind {kind} are in no namespace; remove it"
        findings.add("metadata.namespace", "NotNamespaced", text)
    if kind not in CLUSTERED:
        findings.reading("metadata.namespace", "BadName", syntax.dns_label, subject.namespace)
    check_labels(meta.labels or {}, "metadata.labels", findings)
    for key in meta.annotations or {}:
        findings.reading(
            f"metadata.annotations.{key[:64]}", "BadAnnotation", syntax.label_key, key.lower()
        )


def _assign(batch: _Batch, cluster: Cluster) -> None:
    """Find out which namespaces are in a tenant of their own, or in another."""
    for document in batch.documents:
        subject = document.subject
        word = (subject.meta.annotations or {}).get(TENANT)
        if subject.kind != "Namespace":
            continue
        if word is None:
            cluster.tenants.pop(subject.name, None)
            continue
        path = f"metadata.annotations.{TENANT}"
        chosen = shortened(subject.name) if word == "own" else word
        if document.findings.reading(path, "BadName", syntax.dns_subdomain, chosen) is None:
            continue
        if len(chosen) > 63:
            text = f"{chosen!r} is too long for a tenant, whose name has at most 63 characters"
            document.findings.add(path, "BadName", text)
        cluster.tenants[subject.name] = chosen


def _repeated(batch: _Batch) -> None:
    seen: set[tuple[str, str, str, str]] = set()
    for document in batch.documents:
        subject = document.subject
        group = subject.version.rpartition("/")[0]
        identity = (group, subject.kind, subject.namespace, subject.name)
        if subject.name and identity in seen:
            text = "is given twice; keep one of them"
            document.findings.add("metadata.name", "Repeated", text)
        seen.add(identity)


def _groups(batch: _Batch) -> dict[tuple[str, str], Mapping[str, Any]]:
    """What Antrea's groups say, by namespace and name."""
    found: dict[tuple[str, str], Mapping[str, Any]] = {}
    for document in batch.documents:
        spec, subject = document.value.get("spec"), document.subject
        if subject.kind in {"Group", "ClusterGroup"} and isinstance(spec, Mapping):
            found[subject.namespace, subject.name] = spec
    return found


def _own_hosts(manifests: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for manifest in manifests:
        metadata = manifest.get("metadata")
        if manifest.get("kind") == "Host" and isinstance(metadata, Mapping):
            yield str(metadata.get("name"))


def _translate(batch: _Batch, cluster: Cluster, hosts: Collection[str]) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    there = _given_pods(batch)
    nodes = {
        shortened(document.subject.name): document.subject.meta.labels or {}
        for document in batch.documents
        if document.subject.kind == "Node"
    }
    groups = _groups(batch)
    cluster.wide, cluster.nodal = antrea_groups.wide(groups), antrea_groups.nodal(groups)
    for document in batch.documents:
        if not document.sound:
            continue
        subject, value, findings = document.subject, document.value, document.findings
        spec, status = value.get("spec"), value.get("status")
        if subject.kind == "Namespace":
            made += core.namespace(subject, cluster)
        elif subject.kind == "Pod":
            made += core.pod(subject, spec, status, cluster, findings)
        elif subject.kind == "Node":
            if shortened(subject.name) in hosts:
                batch.notes.append(f"{findings.subject}: is the Host of that name already")
            else:
                made += core.node(subject, spec, status, cluster, findings)
        elif subject.kind in WORKLOADS:
            if _made_already(document, there):
                batch.notes.append(f"{findings.subject}: its pods are taken as they are given")
            elif is_over(subject.kind, status, findings):
                batch.notes.append(f"{findings.subject}: left out, it is over")
            else:
                made += workload(subject, spec, nodes, cluster, findings)
        else:
            translate = POLICIES[f"{subject.version}/{subject.kind}"]
            made += translate(subject, spec, cluster, findings)
    return made


_Identity = tuple[str, str, str]


@dataclass(slots=True)
class _Given:
    """What is known of pods among the manifests, and of what makes pods."""

    makers: set[_Identity] = field(default_factory=set)
    """(namespace, kind, name) of what the given pods were made by."""
    every: set[_Identity] = field(default_factory=set)
    """The same of every workload."""
    loose: dict[str, list[Mapping[str, str]]] = field(default_factory=dict)
    """Labels of the pods that nobody made, by namespace."""


def _given_pods(batch: _Batch) -> _Given:
    found = _Given()
    above: list[tuple[_Identity, Owner]] = []
    for document in batch.documents:
        subject = document.subject
        identity = (subject.namespace, subject.kind, subject.name)
        owner = subject.meta.controller
        if subject.kind in WORKLOADS:
            found.every.add(identity)
            if owner is not None:
                above.append((identity, owner))
        elif subject.kind == "Pod" and owner is not None:
            found.makers.add((subject.namespace, owner.kind, owner.name))
        elif subject.kind == "Pod" and not subject.meta.owner_references:
            found.loose.setdefault(subject.namespace, []).append(subject.meta.labels or {})
    for identity, owner in above:
        if identity in found.makers:
            found.makers.add((identity[0], owner.kind, owner.name))
    return found


def _made_already(document: _Document, there: _Given) -> bool:
    """Whether pods of a workload are given, or what it was made by is and stands for them."""
    subject = document.subject
    owner = subject.meta.controller
    if owner is not None and (subject.namespace, owner.kind, owner.name) in there.every:
        return True
    if (subject.namespace, subject.kind, subject.name) in there.makers:
        return True
    wanted = wanted_labels(subject.kind, document.value.get("spec"))
    labels = there.loose.get(subject.namespace, ())
    return wanted is not None and any(selects(wanted, one) for one in labels)


def _deepest(problems: Sequence[Problem]) -> list[Problem]:
    """Without those that only follow from an unknown field right below."""
    held = {above(one.field) for one in problems if one.reason == "UnknownField"}
    return [one for one in problems if one.reason != "Missing" or one.field not in held]


def _clashes(manifests: Sequence[Mapping[str, Any]]) -> Iterator[Problem]:
    """Different manifests that would be the same object."""
    seen: dict[tuple[Any, ...], str] = {}
    for one in manifests:
        metadata = one.get("metadata")
        if not isinstance(metadata, Mapping):
            continue
        name, tenant = metadata.get("name"), metadata.get("tenant")
        identity = (str(one.get("kind")), str(tenant), str(name))
        annotations = metadata.get("annotations")
        origin = (
            str(annotations.get("vneter.io/origin")) if isinstance(annotations, Mapping) else ""
        )
        if identity in seen and origin != seen[identity]:
            where = f"{tenant}/{name}" if tenant else str(name)
            text = (
                f"{origin or 'this'} and {seen[identity] or 'another'} would both be it; rename one"
            )
            yield Problem(f"{identity[0]} {where}", "metadata.name", "NameInUse", text)
        seen.setdefault(identity, origin)
