# SPDX-License-Identifier: Apache-2.0
"""The description agrees with the server, and with itself."""

from __future__ import annotations

import json
import re

import msgspec
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from vneter_sdn.model.kinds import KINDS
from vneter_sdn.northbound.access.needs import NEEDS
from vneter_sdn.northbound.openapi import document
from vneter_sdn.northbound.patches import JSON_PATCH, MERGE_PATCH
from vneter_sdn.northbound.problems import sort_of_status
from vneter_sdn.northbound.routes import ROUTES
from vneter_sdn.northbound.schemas import Apply, components, manifest_schema


def _references(value):
    if isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"]
        for one in value.values():
            yield from _references(one)
    elif isinstance(value, list):
        for one in value:
            yield from _references(one)


def test_every_reference_resolves():
    whole = document()
    for reference in set(_references(whole)):
        at = whole
        for step in reference.removeprefix("#/").split("/"):
            at = at[step]
        assert isinstance(at, dict)


def test_it_is_valid():
    served = json.loads(json.dumps(document()))
    assert list(OpenAPIV31SpecValidator(served).iter_errors()) == []


def test_it_is_served(rest):
    assert rest.get("/openapi.json").json == json.loads(json.dumps(document()))


def test_it_describes_what_is_served_and_nothing_else(rest):
    served = {
        (method, re.sub(r"<(\w+)>", r"{\1}", rule.rule))
        for rule in rest.application.url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    described = {
        (method.upper(), path)
        for path, item in document()["paths"].items()
        for method in item
        if method != "parameters"
    }
    assert served == described == {(route.method, route.path) for route in ROUTES}


def test_operations_have_names_of_their_own():
    assert len({route.identity for route in ROUTES}) == len(ROUTES)


def _parameters(operation):
    return {one["name"]: one for one in operation.get("parameters", ())}


def test_writes_of_intent_are_all_described_alike():
    for route in ROUTES:
        if route.method == "GET" or (route.kind is None and route.operation != "apply"):
            continue
        operation = document()["paths"][route.path][route.method.lower()]
        names = _parameters(operation)
        assert {"dryRun", "Idempotency-Key", "X-Vneter-Author"} <= names.keys(), route.identity
        assert ("412" in operation["responses"]) >= ("If-Match" in names)
        done = [one for code, one in operation["responses"].items() if code in {"200", "201"}]
        assert all("Idempotency-Replayed" in one["headers"] for one in done)


def test_objects_have_entity_tags_and_patches_two_forms():
    item = document()["paths"]["/v1/tenants/{tenant}/networks/{name}"]
    assert "ETag" in item["get"]["responses"]["200"]["headers"]
    assert "content" not in item["get"]["responses"]["304"]
    assert item["patch"]["requestBody"]["content"].keys() == {JSON_PATCH, MERGE_PATCH}
    for name in ("If-Match", "If-None-Match"):
        pattern = _parameters(item["put"])[name]["schema"]["pattern"]
        assert re.search(pattern, "*")
        assert not re.search(pattern, "12")


def test_integers_of_a_query_have_bounds_that_hold(rest):
    for route in ROUTES:
        names = _parameters(document()["paths"][route.path][route.method.lower()])
        for query in (one for one in route.query if one.type == "integer"):
            schema = names[query.name]["schema"]
            beyond = rest.get(route.path, query_string={query.name: schema["maximum"] + 1})
            assert beyond.status_code == 400, route.identity


def test_an_author_may_say_nothing():
    operation = document()["paths"]["/v1/apply"]["post"]
    pattern = _parameters(operation)["X-Vneter-Author"]["schema"]["pattern"]
    assert all(re.search(pattern, one) for one in ("", "a", "ada of the desk"))
    assert not any(re.search(pattern, one) for one in (" a", "a" * 257, "\t"))


@pytest.mark.parametrize("status", [400, 401, 403, 408, 413, 429, 431, 501, 503, 505])
def test_whatever_the_server_in_front_refuses_has_a_name(status):
    assert not sort_of_status(status).name.startswith("http-")


def test_who_may_ask_is_described():
    schemes = document()["components"]["securitySchemes"]
    for route in ROUTES:
        security = document()["paths"][route.path][route.method.lower()]["security"]
        assert (security == []) is (NEEDS[route.operation].scope == "open"), route.identity
        assert {name for one in security for name in one} <= schemes.keys()


def test_a_kind_is_described_by_its_struct():
    schema = components()["NetworkSpec"]
    assert schema["properties"]["vni"]["anyOf"][0]["maximum"] == 0xFFFFFF
    assert schema["required"] == ["prefixes"]
    assert schema["additionalProperties"] is False
    for kind in KINDS.values():
        names = {field.encode_name for field in msgspec.structs.fields(kind.spec)}
        assert set(components()[kind.spec.__name__]["properties"]) == names
        assert manifest_schema(kind)["properties"]["kind"] == {"const": kind.name}


def test_the_described_batch_is_the_one_that_is_read(rest):
    names = [field.encode_name for field in msgspec.structs.fields(Apply)]
    answer = rest.post("/v1/apply", json={"nothing": 1})
    assert answer.json["errors"][0]["message"].endswith(", ".join(names))


def _described(operation, status):
    whole = document()
    answer = operation["responses"][str(status)]
    if "$ref" in answer:
        answer = whole["components"]["responses"][str(status)]
    return set(answer["headers"])


_OF_EVERY_MESSAGE = {"Content-Type", "Content-Length"}
_GIVEN = {"tenant": "red", "name": "web", "number": "1", "chain": "audit", "file": "page.js"}


def test_every_header_is_described(rest, red):
    rest.post("/v1/apply", json={"objects": red})
    kept = {"Idempotency-Key": "once"}
    asked = [
        (route, route.path.format(**_GIVEN), given)
        for route in ROUTES
        if route.kind is None or route.kind.name in {"Network", "Host"}
        for given in (
            {},
            {"headers": kept},
            {"query_string": "timeout=0&since=x"},
            {"json": {"metadata": {"name": "web"}, "spec": {"prefixes": ["10.0.0.0/24"]}}},
            {"data": b"x", "headers": {"Content-Encoding": "gzip"}},
        )
    ]
    for route, path, given in asked:
        answer = rest.open(path, method=route.method, **given)
        operation = document()["paths"][route.path][route.method.lower()]
        told = set(answer.headers.keys()) - _OF_EVERY_MESSAGE
        assert told <= _described(operation, answer.status_code), (route, answer.status_code)
        answer.close()
    shut = rest.open("/v1/networks", method="DELETE")
    told = set(shut.headers.keys()) - _OF_EVERY_MESSAGE
    assert {"Allow"} <= told <= set(document()["components"]["responses"]["405"]["headers"])
