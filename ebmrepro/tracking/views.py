"""Views of a suite's runs in MLflow that are prepared: which runs, which charts, which columns.

MLflow keeps a shared view as a tag of the experiment; a link names it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ebmrepro.config.documents import read_yaml
from ebmrepro.config.training import base
from ebmrepro.tracking.store import Store

VIEWS: dict[str, dict[str, Any]] = read_yaml(Path(__file__).with_suffix(".yaml"))
NAMES = read_yaml(Path(__file__).parents[1] / "report" / "names.yaml")
TAG = "mlflow.sharedViewState."
PAGE = 100  # runs that MLflow's page loads at once: groups are formed of these
RUN_NAME, WIDTH = "attributes.`Run Name`", 290  # pixels, for the longest name of a system
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
        shown = store.client.search_runs([experiment], words, max_results=PAGE + 1)
        if not shown:
            continue
        systems = {run.data.tags.get("method", "") for run in shown} if len(shown) <= PAGE else ()
        state = json.dumps(_state(name, told, words, sorted(systems)))
        if tags.get(TAG + name) != state:
            store.client.set_experiment_tag(experiment, TAG + name, state)
        mode = "CHART" if "charts" in told else "TABLE"
        query = f"viewStateShareKey={name}&compareRunsMode={mode}&workflowType=machine_learning"
        pages[name] = f"/#/experiments/{experiment}/runs?{query}"
    return pages


def _state(name: str, told: dict[str, Any], words: str, systems: Sequence[str]) -> dict[str, Any]:
    """As MLflow 3 reads it; what is left out is as on any page of it. A group for each system."""
    state: dict[str, Any] = {"searchFilter": words, "runsHiddenMode": "SHOW_ALL"}
    if charts := told.get("charts"):
        section = {"uuid": name, "name": name, "display": True, "isReordered": True, "columns": 2}
        line = {"type": "LINE", "metricSectionId": name, "deleted": False, "isGenerated": False}
        line |= {"xAxisKey": "step", "xAxisScaleType": "linear", "useGlobalXaxisKey": True}
        line |= {"yAxisKey": "metric", "yAxisExpressions": [], "range": {}}
        line |= {"scaleType": told.get("scale", "linear")}
        line |= {"useGlobalLineSmoothing": True, "lineSmoothness": 0}
        cards = [
            {**line, "uuid": f"{name}-{i}", "metricKey": key, "selectedMetricKeys": [key]}
            for i, key in enumerate(charts)
        ]
        state |= {"compareRunCharts": cards, "compareRunSections": [section]}
        return {**state, "isAccordionReordered": True}
    columns = [f"metrics.`{key}`" for key in told["columns"]]
    state |= {"selectedColumns": columns, "orderByKey": columns[0], "orderByAsc": True}
    state |= {"columnOrder": [RUN_NAME, *columns], "columnWidths": {RUN_NAME: WIDTH}}
    if systems:
        closed = {f"tag.method.{system}": False for system in systems}
        state |= {"groupBy": BY_SYSTEM, "groupsExpanded": closed}
    return state
