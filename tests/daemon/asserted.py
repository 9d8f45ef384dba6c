# SPDX-License-Identifier: Apache-2.0
"""Two endpoints on two hosts, of which it is asserted that one can reach the other."""

import yaml

from vneter_sdn.northbound.resources import edit_of

NETWORK = """\
- {kind: Host, metadata: {name: h1}, spec: {ovsdb: "unix:/none/h1", tunnelAddresses: [192.0.2.1]}}
- {kind: Host, metadata: {name: h2}, spec: {ovsdb: "unix:/none/h2", tunnelAddresses: [192.0.2.2]}}
- {kind: Tenant, metadata: {name: red}, spec: {}}
- {kind: Network, metadata: {name: web, tenant: red}, spec: {prefixes: [10.0.0.0/24]}}
- {kind: Endpoint, metadata: {name: a, tenant: red, labels: {app: a}}, spec: {network: web}}
- {kind: Endpoint, metadata: {name: b, tenant: red, labels: {app: b}}, spec: {network: web}}
- kind: Assertion
  metadata: {name: talk}
  spec: &talk
    source: {endpoints: {matchLabels: {app: a}}}
    target: {endpoints: {matchLabels: {app: b}}}
    ports: [{port: 80}]
"""
SILENCE = """\
- kind: Assertion
  metadata: {name: silence}
  spec: {<<: *talk, ports: [{port: 22}], expect: denied}
"""
"""For after `NETWORK`, in the same text."""
DENY = """\
- kind: Policy
  metadata: {name: deny, tenant: red}
  spec:
    tier: application
    appliesTo: [{endpoints: {matchLabels: {app: b}}}]
    ingress: [{action: drop, ports: [{port: PORT}]}]
"""


def manifests(text):
    return [{"apiVersion": "vneter.io/v1", **one} for one in yaml.safe_load(text)]


def edits(text):
    return [edit_of(one) for one in manifests(text)]
