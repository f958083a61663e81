"""A LoRA adapter: what a base has taught its embedder (`qa.tuning`), and where it is kept.

It lies in the base as points of the kind `adapter`, so that it goes wherever the base goes: to a
server, into an export, back with a version. An embedder with an adapter is called
`MODEL+TAG`; TAG is a hash of the weights. They are added to those of the model once, when it is
opened: W + scale * B A (Hu et al. 2022), and a question costs what it did.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ingest.errors import BadRequest
from retrieval.embedding import UNSCALED, CosineScale
from retrieval.points import point_id
from retrieval.store import Point, Store

KIND = "adapter"
PART = 480_000  # bytes of weights in one point
_TAG = re.compile(r"[0-9a-f]{12}")
_PREFIX, _A, _B = "base_model.model.", ".lora_A.weight", ".lora_B.weight"


def parted(spec: str) -> tuple[str, str]:
    """The embedder that was tuned and the tag of its adapter; "" for one that was not."""
    model, _, tag = spec.rpartition("+")
    return (model, tag) if model and _TAG.fullmatch(tag) else (spec, "")


@dataclass(frozen=True, slots=True)
class Adapter:
    """`weights` are a safetensors file with the names that PEFT gives; `card` tells of it.

    `base` is the spec of the embedder that it was made for; `scale` what B A is multiplied by;
    `cosines` makes those of the tuned model comparable with those of `base`.
    """

    weights: bytes = field(repr=False)
    scale: float
    base: str = ""
    card: Mapping[str, Any] = field(default_factory=dict)
    cosines: CosineScale = UNSCALED

    @classmethod
    def of(cls, arrays: Mapping[str, NDArray[np.float32]], *, scale: float) -> Self:
        """An adapter of matrices A `(rank, in)` and B `(out, rank)` by their names."""
        from safetensors.numpy import save

        return cls(
            save({name: np.ascontiguousarray(arrays[name]) for name in sorted(arrays)}), scale
        )

    @property
    def tag(self) -> str:
        """Twelve hex digits of a hash of the weights."""
        return hashlib.sha256(self.weights + repr(self.scale).encode()).hexdigest()[:12]

    @property
    def spec(self) -> str:
        """What an embedder with this adapter is called."""
        return f"{self.base}+{self.tag}"

    def made_for(self, base: str, card: Mapping[str, Any], cosines: CosineScale = UNSCALED) -> Self:
        """The same with what is known of it."""
        return replace(self, base=base, card=dict(card), cosines=cosines)

    def deltas(self) -> dict[str, NDArray[np.float32]]:
        """What is added to the weights of a model, by their names, `(out, in)` each.

        Raises BadRequest if it holds anything but pairs of matrices.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load

        try:
            arrays = load(self.weights)
            names = [name.removesuffix(_A) for name in arrays if name.endswith(_A)]
            if len(arrays) != 2 * len(names):
                raise ValueError("it holds more than pairs of matrices")
            found = {name: (arrays[f"{name}{_B}"], arrays[f"{name}{_A}"]) for name in names}
            return {
                f"{name.removeprefix(_PREFIX)}.weight": np.float32(self.scale) * (b @ a)
                for name, (b, a) in found.items()
            }
        except (SafetensorError, KeyError, ValueError) as exc:
            raise BadRequest(f"the adapter {self.tag} is damaged: {exc}") from exc


def merged(
    weights: Mapping[str, NDArray[np.float32]], adapter: Adapter
) -> dict[str, NDArray[np.float32]]:
    """A model's weights with the adapter's added.

    Raises BadRequest if the adapter is for a model of another shape.
    """
    result = dict(weights)
    for name, delta in adapter.deltas().items():
        if name not in result or result[name].shape != delta.shape:
            raise BadRequest(
                f"the adapter {adapter.tag} is for another model (it has no such {name}): put "
                f"'{adapter.base}' back as it was, or run `kbqa reembed --embedder {adapter.base}`"
            )
        result[name] = result[name] + delta
    return result


def write_adapter(store: Store, adapter: Adapter) -> None:
    """Keep the adapter in the base, in the place of another one."""
    store.write(list(_points(adapter)))


def read_adapter(store: Store, tag: str) -> Adapter | None:
    """The adapter of that tag; None if the base has none. Raises BadRequest if it is damaged."""
    points = [point.payload for point in store.scan({"kind": KIND}) if point.payload["tag"] == tag]
    parts = sorted(points, key=lambda payload: payload["number"])
    if not parts:
        return None
    weights = b"".join(base64.b64decode(part["data"]) for part in parts)
    head = json.loads(parts[0]["head"])
    adapter = Adapter(
        weights, float(head["scale"]), head["base"], head["card"], CosineScale(*head["cosines"])
    )
    if adapter.tag != tag or len(parts) != head["parts"]:
        raise BadRequest(
            f"the adapter {tag} in the knowledge base is damaged: `kbqa tune --rollback`, or "
            "`kbqa reembed --embedder minilm`"
        )
    return adapter


def _points(adapter: Adapter) -> Iterator[Point]:
    starts = range(0, len(adapter.weights), PART)
    head = {
        "scale": adapter.scale,
        "base": adapter.base,
        "card": dict(adapter.card),
        "cosines": list(adapter.cosines),
        "parts": len(starts),
    }
    for number, start in enumerate(starts):
        data = base64.b64encode(adapter.weights[start : start + PART]).decode()
        payload = {"kind": KIND, "tag": adapter.tag, "number": number, "data": data}
        if number == 0:
            payload["head"] = json.dumps(head, ensure_ascii=False)
        yield Point(point_id(KIND, adapter.tag, number), payload)
