# SPDX-License-Identifier: Apache-2.0
"""Who asks: nobody passes for somebody else, or gives others more than they have."""

from __future__ import annotations

import json

import pytest
from two_tenants import network, refused

from vneter_sdn.config import Settings
from vneter_sdn.northbound.rest.app import create_app


def test_credentials_are_given_out_of_ones_own(red, root, store, editor):
    def asked(role="viewer", *tenants, **more):
        return {"name": "new", "role": role, "tenants": list(tenants)} | more

    for body in (asked(), asked("viewer", "blue"), asked("viewer", "red", "blue"),
                 asked("admin", "*")):  # fmt: skip
        assert red("POST", "/v1/tokens", body).status_code == 403, body
    assert editor("POST", "/v1/tokens", asked("viewer", "red")).status_code == 403
    made = red("POST", "/v1/tokens", asked("admin", "red"))
    assert made.status_code == 201
    listed = [one["name"] for one in red("GET", "/v1/tokens").json["items"]]
    assert listed == ["editor", "new", "red"]
    assert "sha256" not in json.dumps(root("GET", "/v1/tokens").json)
    assert red("DELETE", "/v1/tokens?name=root").status_code == 404
    assert red("DELETE", "/v1/tokens?name=none").status_code == 404
    assert red("DELETE", "/v1/tokens?name=new").status_code == 200
    assert root("DELETE", "/v1/tokens?name=red").status_code == 200
    assert red("GET", "/v1/whoami").status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Vneter-Identity": "root"},
        {"Vneter.Identity": "root"},
        {"X-Forwarded-For": "127.0.0.1"},
        {"X-Vneter-Author": "token:root"},
        {"Host": "127.0.0.1"},
    ],
)
def test_headers_make_nobody_somebody_else(red, store, headers):
    refused(red("GET", "/v1/hosts", **headers), store, store.snapshot())


def test_the_journal_says_who_it_was_and_what_they_say_of_themselves(red, root, app, store):
    answer = red("PUT", "/v1/tenants/red/networks/web", network("red", mtu=1290),
                 **{"X-Vneter-Author": "token:root"})  # fmt: skip
    assert answer.status_code == 200
    assert store.revisions(1)[0].author == "token:red (token:root)"


def test_a_local_user_does_not_pass_for_a_credential(store):
    client = create_app(store, Settings()).test_client()
    for author in ("token:root", "certificate:CN=ada"):
        answer = client.post("/v1/apply", json={"objects": []}, headers={"X-Vneter-Author": author})
        assert answer.status_code == 400


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1.evil.org"])
def test_pages_of_other_origins_get_nothing_from_the_administrators_door(store, origin):
    client = create_app(store, Settings()).test_client()
    assert client.get("/v1/status", headers={"Origin": origin}).status_code == 403
    for ours in ("http://localhost:8181", "http://127.0.0.1:8181", "http://[::1]:8181"):
        assert client.get("/v1/status", headers={"Origin": ours}).status_code == 200
