"""A secret is masked wherever it is shown, and what is none is not."""

from __future__ import annotations

import pytest

from ebmrepro.system import redact


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("postgresql://me:p@ss/w:rd@host/db", "postgresql://me:***@host/db"),
        ("https://sometoken@host/path", "https://***@host/path"),
        ("mysql://host/db?user=me&password=hunter2", "mysql://host/db?user=me&password=***"),
    ],
)
def test_a_password_is_never_shown(uri, shown):
    assert redact.redact(f"cannot reach {uri}") == f"cannot reach {shown}"


SECRETS = [
    "http://user:hunter2@host:5000/path",
    "postgresql://user:hunter2@host/db",
    "postgresql+psycopg2://us%40er:hun:ter2/hunter2@host/db?sslmode=require",
    "https://hunter2@host",
    "https://host/api?access_token=hunter2&x=1",
    "https://host/api?x=1&api_key=hunter2",
    "https://host/api?sig=hunter2",
    "https://host/api?X-Amz-Signature=hunter2&X-Amz-Credential=hunter2",
    "mysql://host/db?user=me&password=hunter2",
    "mssql://host/db;Password=hunter2;Encrypt=yes",
    "host=db user=me password=hunter2 dbname=x",
    "Authorization: Bearer hunter2hunter2",
    "Authorization: Basic hunter2hunter2==",
]


@pytest.mark.parametrize("text", SECRETS)
def test_a_secret_is_masked_wherever_it_stands(text):
    for place in ("{}", "cannot reach {}, retrying", "'{}'", "({})\nagain {}"):
        shown = redact.redact(place.format(text, text))
        assert "hunter2" not in shown and redact.HIDDEN in shown


@pytest.mark.parametrize(
    "text",
    [
        "sqlite:////home/me/mlflow.db",
        "http://127.0.0.1:5000/#/experiments/1?a=b",
        "models/digits/began/0/run.json: Expecting value: line 1 column 1",
        "missing x.gz: put them in DIR/set/ and set EBMREPRO_DATA_MIRROR=DIR; the network gave 404",
        "params.yaml: began.key=3",
    ],
)
def test_what_is_no_secret_is_shown_as_it_is(text):
    assert redact.redact(text) == text


def test_what_mlflow_takes_from_the_environment_is_masked(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "correct horse")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI")
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "falsely")
    shown = redact.redact("falsely said: correct horse, wJalrXUtnFEMI")
    assert shown == "falsely said: ***, ***"
