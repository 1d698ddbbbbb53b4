"""The results as a picture: how many times longer than Frostline each contestant takes."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import vl_convert

from benchmarks.contestants import CONTESTANTS

LEAST = 0.8
"""Where bars begin: a logarithmic scale has no zero."""


def chart(results: dict[str, Any]) -> dict[str, Any]:
    """Return the Vega-Lite chart: a row of bars for each workload, on a logarithmic scale."""
    values = []
    for workload in results["workloads"].values():
        rows = workload["contestants"]
        ours = rows.get("frostline_run", {}).get("total_seconds")
        values += [
            {"workload": workload["title"], "contestant": CONTESTANTS[key].title, "ratio": row["total_seconds"] / ours}
            for key, row in rows.items()
            if ours and "error" not in row
        ]
    order = [contestant.title for contestant in CONTESTANTS.values()]
    bar = {"type": "bar", "height": 14}
    text = {"type": "text", "align": "left", "dx": 4}
    scale = {"type": "log", "domain": [LEAST, 1000], "clamp": True}
    x = {
        "field": "ratio",
        "type": "quantitative",
        "scale": scale,
        "stack": None,
        "title": "times Frostline's wall time",
    }
    y = {"field": "contestant", "type": "nominal", "sort": order, "title": None}
    color = {
        "condition": {"test": "datum.contestant === 'Frostline'", "value": "#2f7fb8"},
        "value": "#b9c4cc",
    }
    header = {"labelAngle": 0, "labelAlign": "left", "labelOrient": "top", "labelAnchor": "start", "labelFontSize": 12}
    titles = [workload["title"] for workload in results["workloads"].values()]
    label = {"field": "ratio", "type": "quantitative", "format": ".3~g"}
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "data": {"values": values},
        "facet": {"row": {"field": "workload", "title": None, "header": header, "sort": titles}},
        "spec": {
            "width": 520,
            "layer": [
                {"mark": bar, "encoding": {"x": x, "x2": {"datum": LEAST}, "y": y, "color": color}},
                {"mark": text, "encoding": {"x": x, "y": y, "text": label}},
            ],
        },
        "resolve": {"scale": {"y": "independent"}},
    }


def main() -> None:
    source, target = map(Path, sys.argv[1:])
    target.write_bytes(vl_convert.vegalite_to_png(chart(json.loads(source.read_text())), scale=2))


if __name__ == "__main__":
    main()
