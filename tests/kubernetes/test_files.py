# SPDX-License-Identifier: Apache-2.0
"""However a cluster's manifests are put into files, they say the same."""

import json
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml
from drawn import Manifest, directory

from vneter_sdn.kubernetes.door import native
from vneter_sdn.northbound.manifests import expand, read_path

SERVER = {
    "uid": "0f",
    "resourceVersion": "12",
    "generation": 1,
    "creationTimestamp": "2027-01-01T00:00:00Z",
    "managedFields": [{"manager": "kubectl", "fieldsV1": {"f:spec": {".": {}}}}],
}
OTHERS: list[Manifest] = [
    {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"k": "v"}},
    {"apiVersion": "v1", "kind": "Event", "metadata": {"generateName": "e-"}},
    {"apiVersion": "longhorn.io/v1beta2", "kind": "Node", "metadata": {"name": "n1"}},
    {"apiVersion": "v1", "kind": "List", "items": []},
    {"apiVersion": "v1", "kind": "SecretList", "items": None},
]


def as_stored(manifest: Manifest) -> Manifest:
    """As an API server has it."""
    metadata = manifest["metadata"]
    last = {"kubectl.kubernetes.io/last-applied-configuration": "{}\n"}
    return {**manifest, "metadata": {**metadata, **SERVER, "annotations": last}}


def one_kind(manifests: Sequence[Manifest]) -> list[Manifest]:
    """A list for each kind, that says once what its items are."""
    found: dict[tuple[str, str], list[Manifest]] = {}
    for one in manifests:
        bare = {key: part for key, part in one.items() if key not in {"apiVersion", "kind"}}
        found.setdefault((one["apiVersion"], one["kind"]), []).append(bare)
    return [
        {"apiVersion": version, "kind": f"{kind}List", "metadata": {}, "items": items}
        for (version, kind), items in found.items()
    ]


def written(manifests: Sequence[Manifest], suffix: str, lot: Random) -> str:
    """The text of one file."""
    if suffix == ".json":
        whole = {"apiVersion": "v1", "kind": "List", "items": list(manifests)}
        return json.dumps(whole if len(manifests) != 1 else manifests[0], indent=lot.choice([0, 2]))
    flow = lot.choice([None, False, True])
    documents = [yaml.safe_dump(one, default_flow_style=flow) for one in manifests]
    between = lot.choice(["---\n", "---\n\n# more\n", "...\n---\n"])
    text = lot.choice(["", "---\n", "# all\n---\n"]) + between.join(documents)
    return (text + lot.choice(["", "---\n", "...\n"])).replace("\n", lot.choice(["\n", "\r\n"]))


def put(manifests: list[Manifest], where: Path, lot: Random) -> None:
    """Spread manifests over files and directories."""
    lot.shuffle(manifests)
    number = lot.choice([1, 3, 6])
    for part in range(number):
        few = manifests[part::number]
        if few and lot.random() < 0.3:
            few = one_kind(few) if lot.random() < 0.5 else [{**OTHERS[3], "items": few}]
        suffix = lot.choice([".yaml", ".yml", ".json"])
        if any(one["kind"].endswith("List") for one in few) and len(few) != 1:
            suffix = ".yaml"  # no lists within lists
        path = where / lot.choice(["", "below", "below/deep"]) / f"{part}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(written(few, suffix, lot).encode())
    (where / "README.md").write_text("kind: {", encoding="utf-8")


def meaning(manifests: Sequence[Any]) -> list[str]:
    """What they become, in no order."""
    return sorted(json.dumps(one, sort_keys=True) for one in native(manifests).manifests)


@pytest.mark.parametrize("seed", range(12))
def test_files_do_not_matter(seed: int, tmp_path: Path) -> None:
    lot = Random(seed)
    given = directory(seed)
    lists = [one for one in OTHERS if one["kind"].endswith("List")]
    others = [one for one in OTHERS if one not in lists]
    put([*map(as_stored, given), *others], tmp_path, lot)
    (tmp_path / "none.yaml").write_text(yaml.safe_dump_all(lists), encoding="utf-8")
    found = [document.value for document in expand(read_path(tmp_path))]
    assert meaning(found) == meaning(given)
