"""The images a study asks about."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from frostline.study._settings import Settings
from frostline.study._splits import LabelTexts, Splits  # noqa: TC001 - pydantic reads them
from frostline.study._values import Amount, Flag, Seed, Text, combination

__all__ = ["Data"]


class Data(Settings):
    """Where the images come from, and how many of them are used.

    ``train``, ``val`` and ``test`` are counts (whole numbers) or fractions (in (0, 1]) of what the source has; None is
    all of it, or a share of train where the source has no such split. A relative ``path`` is resolved against the
    working directory. ``split_column``, ``splits`` and ``unlabelled`` say what the data don't say unmistakably; left
    out, what is unmistakable is used and anything else asked about.
    """

    source: Literal["digits", "cifar10", "folder", "csv", "parquet"]
    path: Text | None = None
    train: Amount | None = None
    val: Amount | None = None
    test: Amount | None = None
    on_bad_image: Literal["stop", "skip"] = "stop"
    seed: Seed = 0
    image_column: Text | None = None
    label_column: Text | None = None
    split_column: Text | None = None
    splits: Splits | None = None
    unlabelled: LabelTexts | None = None
    download: Flag = True

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        if self.path is None and self.source in ("folder", "csv", "parquet"):
            kind = "file" if self.source == "csv" else "folder" if self.source == "folder" else "file or folder"
            raise combination(f'is missing: the source "{self.source}" needs the {kind} to read', "path", "source")
        if self.path is not None and self.source == "digits":
            raise combination(
                'cannot be combined with the source "digits", which ships with scikit-learn', "path", "source"
            )
        for key in ("image_column", "label_column", "split_column"):
            if getattr(self, key) is not None and self.source not in ("csv", "parquet"):
                raise combination(
                    f'applies only to the sources "csv" and "parquet"; this one is "{self.source}"', key, "source"
                )
        for key in ("splits", "unlabelled"):
            if getattr(self, key) is not None and self.source not in ("folder", "csv", "parquet"):
                raise combination(
                    f'applies only to the sources "folder", "csv" and "parquet"; this one is "{self.source}"',
                    key,
                    "source",
                )
        if self.split_column not in (None, "none") and self.splits is not None and not self.splits.stated:
            message = 'cannot be combined with splits = "none": the column would not be used'
            raise combination(message, "split_column", "splits")
        if self.split_column == "none" and self.splits is not None and self.splits.stated and self.source == "csv":
            raise combination('needs a column: leave out split_column = "none"', "splits", "split_column")
        if not self.download and self.source != "cifar10":
            raise combination(
                f'applies only to the source "cifar10"; this one is "{self.source}"', "download", "source"
            )
        return self
