# SPDX-License-Identifier: Apache-2.0
"""Injecting a packet over REST: what is asked of the core, and what is refused before."""

from __future__ import annotations

import msgspec
import pytest

from vneter_sdn.config import Settings
from vneter_sdn.errors import Conflict
from vneter_sdn.northbound.rest.app import create_app
from vneter_sdn.northbound.schemas import Injected, Injection

ASKED = {"tenant": "red", "source": "a", "target": "b", "protocol": "tcp", "port": 80}
TOLD = {
    "packet": "in_port=1", "sourcePort": 61000, "dscp": 55, "revision": 3, "host": "h1", "port": 1,
    "looked": ["h1"], "unlooked": {"h2": "is not connected"},
    "seen": [{"host": "h1", "port": 1, "table": "classify", "place": 1, "fields": {}}],
}  # fmt: skip


@pytest.fixture
def post(store):
    """Post to a server whose core does something."""

    def ask(core, body):
        app = create_app(store, Settings(), inject=core)
        return app.test_client().post("/v1/inject", json=body)

    return ask


def test_the_core_is_asked(post):
    asked = []

    def core(one):
        asked.append(one)
        return TOLD

    answer = post(core, {**ASKED, "targetTenant": "blue", "six": True, "hosts": ["h1"]})
    assert answer.status_code == 200
    assert answer.json == TOLD
    assert msgspec.convert(answer.json, Injected).source_port == 61000
    assert asked == [
        Injection(**ASKED, target_tenant="blue", six=True, hosts=["h1"]),
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        {"port": 65536},
        {"protocol": "gre"},
        {"sauce": "a"},
        {"hosts": "h1"},
        {"tenant": None},
    ],
)
def test_nonsense_does_not_get_there(post, wrong):
    def core(_asked):
        raise AssertionError

    answer = post(core, ASKED | wrong)
    assert answer.status_code == 422
    assert answer.mimetype == "application/problem+json"


def test_one_is_under_way(post):
    def core(_asked):
        raise Conflict("another packet is traced just now")

    answer = post(core, ASKED)
    assert answer.status_code == 409
    assert "another packet" in answer.json["detail"]


def test_without_a_core(rest):
    answer = rest.post("/v1/inject", json=ASKED)
    assert answer.status_code == 503
    assert "no core is beside this server" in answer.json["detail"]
