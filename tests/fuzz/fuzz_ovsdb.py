# SPDX-License-Identifier: Apache-2.0
"""Feed arbitrary bytes to the OVSDB decoders: a value or a DecodeError, nothing else.

Run as ``python tests/fuzz/fuzz_ovsdb.py -runs=100000``. The first byte says how the rest is cut
into chunks and which reply the messages are taken for.
"""

import sys

import atheris

with atheris.instrument_imports(include=["vneter_sdn"]):
    from vneter_sdn.errors import DecodeError, OvsdbError
    from vneter_sdn.ovsdb import protocol
    from vneter_sdn.ovsdb.framing import Splitter
    from vneter_sdn.ovsdb.replica import Replica
    from vneter_sdn.ovsdb.schema import Schema

SCHEMA = Schema.parse(
    {
        "name": "db",
        "tables": {
            "T": {
                "columns": {
                    "s": {"type": "string"},
                    "n": {"type": {"key": "integer", "min": 0, "max": "unlimited"}},
                    "m": {"type": {"key": "string", "value": "uuid", "min": 0, "max": 9}},
                }
            }
        },
    }
)
WATCHED = protocol.watched_columns(SCHEMA, {"T": None})


def decode(message: object, choice: int) -> None:
    """Take a message for everything it might be."""
    found = protocol.decode_message(message)
    if isinstance(found, protocol.Reply):
        if choice == 0:
            Schema.parse(found.result)
        elif choice == 1:
            protocol.decode_results(found.result, 1)
        elif choice == 2:
            protocol.refusal(found.error)
        else:
            Replica(WATCHED).apply(protocol.decode_since(found.result, WATCHED, "db"))
    elif found.params:
        tables = protocol.decode_table_updates(found.params[-1], WATCHED)
        Replica(WATCHED).apply(protocol.Update("db", tables))


def test_one_input(data: bytes) -> None:
    """One run."""
    step, choice = (data[0] // 4 + 1, data[0] % 4) if data else (1, 0)
    splitter = Splitter(cap=1 << 16, depth=16)
    try:
        for start in range(1, len(data), step):
            for message in splitter.feed(data[start : start + step]):
                decode(message, choice)
    except (DecodeError, OvsdbError):
        return


SEEDS = (
    (
        b'\x03{"id":1,"result":[false,"00000000-0000-0000-0000-000000000001",{"T":{"00000000-0000-'
        b'0000-0000-000000000001":{"initial":{"s":"x","n":["set",[1,2]],"m":["map",[]]}}}}],'
        b'"error":null}'
    ),
    (
        b'\x41{"id":1,"result":[{"rows":[{"c":["map",[[1,["uuid","00000000-0000-0000-0000-000000000001'
        b'"]]]]}]}],"error":null}'
    ),
    (
        b'\x00{"id":1,"result":{"name":"d","tables":{"T":{"columns":{"c":{"type":{"key":"uuid","min":0'
        b',"max":"unlimited"}}}}}},"error":null}'
    ),
    b'\x82{"id":1,"result":null,"error":{"error":"e","details":"d"}}',
    b'\x22{"id":null,"method":"update3","params":["m","00000000-0000-0000-0000-000000000001",{}]}',
)


def main() -> None:
    """Fuzz until told to stop."""
    for seed in SEEDS:
        test_one_input(seed)
    atheris.Setup(sys.argv, test_one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
