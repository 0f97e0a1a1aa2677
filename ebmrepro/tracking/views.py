"""Views of a suite's runs in MLflow that are prepared: which runs, which charts, which columns.

MLflow keeps a shared view as a tag of the experiment; a link names it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ebmrepro.config.documents import read_yaml
from ebmrepro.config.training import base
from ebmrepro.tracking.store import Store

VIEWS: dict[str, dict[str, Any]] = read_yaml(Path(__file__).with_suffix(".yaml"))
NAMES = read_yaml(Path(__file__).parents[1] / "report" / "names.yaml")
TAG = "mlflow.sharedViewState."
PAGE = 100  # runs that MLflow's page loads at once: groups are formed of these
SYSTEM = {"mode": "tag", "groupByData": "method"}
BY_SYSTEM = {"aggregateFunction": "average", "groupByKeys": [SYSTEM]}


def colour(name: str) -> str:
    """Of a system's method as in the report; a variant has the lighter tone, for want of a dash."""
    palette = NAMES["palette"]
    known = palette.get(NAMES["colours"].get(base(name)))
    tones = known or list(palette.values())[sum(base(name).encode()) % len(palette)]
    return tones[name != base(name)]


def prepare(store: Store, suite: str, first: int) -> dict[str, str]:
    """Write the views that show any run of the suite; name -> path of its page on the server."""
    experiment, pages = store.experiment(suite), {}
    tags = store.client.get_experiment(experiment).tags
    for name, told in VIEWS.items():
        words = told["filter"].format(first=first)
        shown = len(store.client.search_runs([experiment], words, max_results=PAGE + 1))
        if not shown:
            continue
        state = json.dumps(_state(name, told, words, grouped=shown <= PAGE))
        if tags.get(TAG + name) != state:
            store.client.set_experiment_tag(experiment, TAG + name, state)
        mode = "CHART" if "charts" in told else "TABLE"
        query = f"viewStateShareKey={name}&compareRunsMode={mode}&workflowType=machine_learning"
        pages[name] = f"/#/experiments/{experiment}/runs?{query}"
    return pages


def _state(name: str, told: dict[str, Any], words: str, grouped: bool) -> dict[str, Any]:
    """As MLflow 3 reads it; what is left out is as on any page of it."""
    state: dict[str, Any] = {"searchFilter": words, "runsHiddenMode": "SHOW_ALL"}
    if charts := told.get("charts"):
        section = {"uuid": name, "name": name, "display": True, "isReordered": True}
        line = {"type": "LINE", "metricSectionId": name, "deleted": False, "isGenerated": False}
        line |= {"xAxisKey": "step", "xAxisScaleType": "linear", "scaleType": "linear"}
        line |= {"useGlobalXaxisKey": True, "useGlobalLineSmoothing": True, "lineSmoothness": 0}
        line |= {"yAxisKey": "metric", "yAxisExpressions": [], "range": {}}
        cards = [
            {**line, "uuid": f"{name}-{i}", "metricKey": key, "selectedMetricKeys": [key]}
            for i, key in enumerate(charts)
        ]
        return state | {
            "compareRunCharts": cards,
            "compareRunSections": [section],
            "isAccordionReordered": True,
        }
    columns = [f"metrics.`{key}`" for key in told["columns"]]
    state |= {"selectedColumns": columns, "orderByKey": columns[0], "orderByAsc": True}
    return state | ({"groupBy": BY_SYSTEM} if grouped else {})
