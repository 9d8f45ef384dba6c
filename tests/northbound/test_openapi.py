# SPDX-License-Identifier: Apache-2.0
"""The description agrees with the server, and with itself."""

from __future__ import annotations

import json
import re

import msgspec
from openapi_spec_validator import OpenAPIV31SpecValidator

from vneter_sdn.model.kinds import KINDS
from vneter_sdn.northbound.openapi import document
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
