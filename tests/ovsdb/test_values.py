# SPDX-License-Identifier: Apache-2.0
"""Values, schemas and messages: decoding is total, and encoding comes back."""

import contextlib
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vneter_sdn.errors import DecodeError, OvsdbError
from vneter_sdn.ovsdb import protocol
from vneter_sdn.ovsdb.schema import Column, Schema
from vneter_sdn.ovsdb.transport import Remote
from vneter_sdn.ovsdb.values import NamedUuid, decode_value, encode

TEXT = st.text(max_size=5) | st.sampled_from(["uuid", "set", "map", "initial", "T", "c", "result"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=20,
)
ATOMS = {
    "string": st.text(max_size=5),
    "integer": st.integers(-(1 << 63), (1 << 63) - 1),
    "real": st.floats(allow_nan=False, allow_infinity=False),
    "boolean": st.booleans(),
    "uuid": st.uuids(),
}
WATCHED = {"T": {"c": Column("c", "string"), "n": Column("n", "integer", None, 0, 9)}}


@pytest.mark.parametrize("kind", ATOMS)
def test_encode_then_decode(kind):
    @settings(max_examples=50)
    @given(ATOMS[kind], st.frozensets(ATOMS[kind]), st.dictionaries(ATOMS[kind], ATOMS[kind]))
    def check(atom, several, pairs):
        assert Column("c", kind).decode(encode(atom)) == atom
        many = Column("c", kind, None, 0, 1 << 20)
        assert many.decode(encode(several)) == several
        assert many.decode(encode(atom)) == frozenset({atom})
        assert Column("c", kind, kind, 0, 1 << 20).decode(encode(pairs)) == pairs
        assert decode_value(encode(pairs)) == pairs
        assert decode_value(encode(several)) == several

    check()


@settings(max_examples=200)
@given(JSON)
def test_total(raw):
    for decode in (
        protocol.decode_message,
        protocol.refusal,
        Schema.parse,
        decode_value,
        lambda given: protocol.decode_results(given, 1),
        lambda given: protocol.decode_results([given], 1),
        lambda given: protocol.decode_table_updates(given, WATCHED),
        lambda given: protocol.decode_table_updates({"T": given}, WATCHED),
        lambda given: protocol.decode_table_updates({"T": {str(UUID(int=1)): given}}, WATCHED),
        lambda given: protocol.decode_since(given, WATCHED, "db"),
        *(Column("c", kind).decode for kind in ATOMS),
        Column("c", "string", "uuid", 0, 2).decode,
        Column("c", "uuid", None, 0, 1).decode,
    ):
        with contextlib.suppress(DecodeError, OvsdbError):
            decode(raw)


@pytest.mark.parametrize(
    "raw",
    [
        ["set", [1, 1]],
        ["set", [1, "a"]],
        ["set", 1],
        ["map", []],
        ["named-uuid", "x"],
        ["set", [1, 2]],
        True,
        1 << 63,
        None,
    ],
)
def test_an_optional_integer_takes_nothing_else(raw):
    with pytest.raises(DecodeError):
        Column("c", "integer", None, 0, 1).decode(raw)


def test_a_map_with_a_key_twice_is_refused():
    with pytest.raises(DecodeError, match="twice"):
        Column("c", "integer", "integer", 0, 9).decode(["map", [[1, 2], [1, 3]]])


def test_names_of_rows_to_be():
    assert encode(NamedUuid("row_1")) == ["named-uuid", "row_1"]
    with pytest.raises(ValueError, match="usable"):
        encode(NamedUuid("1 row"))
    with pytest.raises(TypeError):
        encode(None)


@pytest.mark.parametrize(
    ("text", "remote"),
    [
        ("unix:/run/db.sock", Remote("unix", "/run/db.sock")),
        ("tcp:127.0.0.1:6640", Remote("tcp", "127.0.0.1", 6640)),
        ("ssl:[2001:db8::1]:6640", Remote("ssl", "2001:db8::1", 6640)),
        ("ssl:host.example:6640", Remote("ssl", "host.example", 6640)),
    ],
)
def test_remotes(text, remote):
    assert Remote.parse(text) == remote


@pytest.mark.parametrize(
    "text", ["", "unix:", "tcp:1.2.3.4", "tcp:h:0", "ssl:h:65536", "udp:h:1", "tcp:2001:db8::1:1"]
)
def test_no_remotes(text):
    with pytest.raises(ValueError, match=r"OVSDB remote|no such port"):
        Remote.parse(text)
