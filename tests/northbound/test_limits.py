# SPDX-License-Identifier: Apache-2.0
"""How often one client may ask."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vneter_sdn.config import Settings
from vneter_sdn.errors import Throttled
from vneter_sdn.northbound.access.identity import LOCAL, NOBODY, Identity
from vneter_sdn.northbound.rest import limits
from vneter_sdn.northbound.rest.app import create_app
from vneter_sdn.northbound.rest.limits import BURST, Buckets, Limits


class _Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def test_a_bucket_empties_and_fills():
    clock = _Clock()
    buckets = Buckets(2.0, clock)
    assert [buckets.take("a") for _ in range(10)] == [0.0] * 10
    assert buckets.take("a") == pytest.approx(0.5)
    assert buckets.take("a") == pytest.approx(0.5)  # what was refused takes nothing
    assert buckets.take("b") == 0.0
    clock.now += 0.5
    assert buckets.take("a") == 0.0
    assert buckets.take("a") > 0
    clock.now += 1000
    assert [buckets.take("a") for _ in range(11)].count(0.0) == 10


@given(st.floats(0.1, 50), st.lists(st.floats(0, 3), max_size=60))
def test_never_more_than_the_rate_and_the_burst(rate, pauses):
    clock = _Clock()
    buckets, taken, began = Buckets(rate, clock), 0, clock.now
    for pause in pauses:
        clock.now += pause
        wait = buckets.take("a")
        taken += not wait
        assert taken <= max(rate * BURST, 1) + rate * (clock.now - began) + 1e-6
        if wait:
            clock.now += wait
            assert buckets.take("a") == 0.0
            taken += 1


def test_few_clients_are_remembered(monkeypatch):
    monkeypatch.setattr(limits, "_CLIENTS", 3)
    buckets = Buckets(1.0, _Clock())
    for name in "abcdef":
        buckets.take(name)
    assert len(buckets._full) == 3


def test_zero_is_no_limit():
    buckets = Buckets(0.0, _Clock())
    assert not any(buckets.take("a") for _ in range(1000))


def _asks(admit, *args):
    try:
        admit(*args)
    except Throttled as error:
        return not error.retry_after > 0
    return True


def test_each_client_has_its_own_and_reads_are_apart_from_writes():
    settings = Settings(api_read_rate=1.0, api_write_rate=0.2)
    admit = Limits(settings, _Clock()).admit
    ada, bob = (Identity(f"token:{name}", "token") for name in ("ada", "bob"))
    assert [_asks(admit, ada, "192.0.2.1", "GET") for _ in range(7)] == [True] * 5 + [False] * 2
    assert [_asks(admit, ada, "192.0.2.1", "PUT") for _ in range(2)] == [True, False]
    assert _asks(admit, bob, "192.0.2.1", "GET")
    assert [_asks(admit, NOBODY, "192.0.2.1", "GET") for _ in range(6)] == [True] * 5 + [False]
    assert _asks(admit, NOBODY, "192.0.2.2", "GET")
    assert all(_asks(admit, LOCAL, "127.0.0.1", "PUT") for _ in range(50))


def test_one_too_many_is_a_problem_that_says_when(store):
    settings = Settings(api_write_rate=0.01, api_limit_local=True)
    rest = create_app(store, settings).test_client()
    assert rest.put("/v1/tenants/a", json={"spec": {}}).status_code == 201
    refused = rest.put("/v1/tenants/b", json={"spec": {}})
    assert (refused.status_code, refused.content_type) == (429, "application/problem+json")
    assert refused.json["type"] == "urn:vneter:problem:throttled"
    assert 1 <= int(refused.headers["Retry-After"]) <= 100
    assert rest.get("/v1/tenants").status_code == 200
    assert store.snapshot().revision == 1


def test_health_is_not_limited(store):
    settings = Settings(api_read_rate=0.01, api_limit_local=True)
    rest = create_app(store, settings).test_client()
    assert [rest.get("/v1/tenants").status_code for _ in range(2)] == [200, 429]
    assert {rest.get("/healthz").status_code for _ in range(20)} == {200}
