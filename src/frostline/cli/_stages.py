"""``frostline stages``: the stages of a backbone in execution order."""

from typing import Annotated, Any

import typer

from frostline.cli._options import JsonOption, print_json

__all__ = ["stages"]


def stages(
    backbone: Annotated[
        str, typer.Argument(metavar="BACKBONE", help="A torchvision network, or timm:NAME for one of timm's.")
    ],
    image_size: Annotated[int, typer.Option(min=1, metavar="PIXELS", help="Side of the images, in pixels.")] = 224,
    as_json: JsonOption = False,
) -> None:
    """Show a backbone's stages, and what training from each would mean.

    In execution order: layers, parameters, operations per image, what goes into the stage, and how many parameters
    train_from would train.
    """
    import frostline
    from frostline import report

    facts = frostline.backbone_facts(backbone, image_size)
    if as_json:
        answer: dict[str, Any] = {
            "backbone": facts.backbone,
            "image_size": facts.image_size,
            "parameters": facts.parameters,
            "parameters_without_head": facts.parameters_without_head,
            "flops": facts.flops,
            "head_features": facts.head_features,
            "cuttable": facts.cuttable,
            "why_not": facts.why_not,
            "stages": [line._asdict() for line in report.stage_lines(facts)],
            "cuts": [cut.name for cut in facts.cuts],
        }
        print_json(answer)
    else:
        report.draw(report.stages_table(facts), report.make_console())
