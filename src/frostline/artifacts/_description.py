"""What an arm's folder says of itself: everything but the tensors."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from frostline.data import Preprocessing
from frostline.study import Recipe

if TYPE_CHECKING:
    from collections.abc import Mapping

    from frostline.plan import Activations, Layout, Precision

__all__ = ["FORMAT_VERSION", "ArmDescription", "Numerics", "WeightsIdentity"]

FORMAT_VERSION = 1


@dataclass(frozen=True)
class WeightsIdentity:
    """The pretrained weights that an arm began with, which its folder doesn't hold.

    Attributes:
        backbone: the network.
        given: ``default``, ``none`` or the path of a file, made absolute.
        key: which tensors of the file, where it holds several sets.
        digest: of every parameter and buffer but the classifier's, hex.
    """

    backbone: str
    given: str
    key: str | None
    digest: str


@dataclass(frozen=True)
class Numerics:
    """What decides the last bits of an arm's logits and isn't in its recipe.

    Attributes:
        device: ``cpu``, ``cuda`` or ``mps``.
        engine: what runs the frozen stages, ``openvino`` or ``torch``.
        cut: where rows enter what is trained; ``input`` where the whole network runs on images.
        activations: how rows at the cut are kept, ``float32`` or ``float16``.
        layout: how maps lie in memory.
        threads: those of the trained part.
        stacked: whether the head was trained in a stack, by whose products its logits are computed.
        versions: of the packages that compute.
        precision: how exactly products are computed.
    """

    device: str
    engine: str
    cut: str
    activations: Activations
    layout: Layout
    threads: int
    stacked: bool
    versions: Mapping[str, str]
    precision: Precision = "ieee"


@dataclass(frozen=True)
class ArmDescription:
    """An arm without its tensors.

    Attributes:
        name: of the arm.
        study, run: where it comes from.
        recipe: what it was trained by.
        classes: K class names, in the order of the logits.
        preprocessing: what its network expects of images.
        weights: what it began with.
        numerics: how its logits are computed.
        files: the SHA-256 of each file beside the description, hex, by name.
    """

    name: str
    study: str
    run: str
    recipe: Recipe
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    weights: WeightsIdentity
    numerics: Numerics
    files: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the description as JSON holds it."""
        return {
            "format": FORMAT_VERSION,
            "arm": self.name,
            "study": self.study,
            "run": self.run,
            "recipe": self.recipe.to_json(),
            "classes": list(self.classes),
            "preprocessing": dataclasses.asdict(self.preprocessing),
            "weights": dataclasses.asdict(self.weights),
            "numerics": dataclasses.asdict(self.numerics),
            "files": dict(self.files),
        }

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> ArmDescription:
        """Return the description that ``to_json`` wrote.

        Raises:
            KeyError, TypeError, ValueError: it is damaged, or of another format.
        """
        if fields["format"] != FORMAT_VERSION:
            raise ValueError(f"it has format {fields['format']}, and this version reads format {FORMAT_VERSION}")
        given = dict(fields["preprocessing"])
        preprocessing = Preprocessing(**{**given, "mean": tuple(given["mean"]), "std": tuple(given["std"])})
        return cls(
            name=fields["arm"],
            study=fields["study"],
            run=fields["run"],
            recipe=Recipe.from_json(fields["recipe"]),
            classes=tuple(fields["classes"]),
            preprocessing=preprocessing,
            weights=WeightsIdentity(**fields["weights"]),
            numerics=Numerics(**fields["numerics"]),
            files=dict(fields["files"]),
        )
