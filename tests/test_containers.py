"""The container's files say what the project is; parsed here, built by hand (guide/disk.md)."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

from ruamel.yaml import YAML

ROOT = Path(__file__).parents[1]
INSTRUCTIONS = {"FROM", "RUN", "WORKDIR", "USER", "COPY", "ENV", "EXPOSE", "CMD"}


def instructions() -> list[tuple[str, str]]:
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(word, " ".join(rest.split())) for word, _, rest in (x.partition(" ") for x in lines)]


def python(image: str) -> str:
    found = re.search(r"python:(3\.\d+)", image)
    assert found, image
    return found[1]


def test_the_image_runs_the_pipeline_as_a_user_without_privileges():
    found = instructions()
    assert {word for word, _ in found} <= INSTRUCTIONS
    assert found[-1] == ("CMD", '["make", "repro"]')
    users = [i for i, (word, _) in enumerate(found) if word == "USER"]
    assert len(users) == 1
    before = [rest for word, rest in found[: users[0]] if word == "RUN"]
    number = found[users[0]][1]
    assert any(re.fullmatch(rf"useradd .*--uid {number} reader", rest) for rest in before)
    assert int(number) > 0
    assert not any("make" in rest.split("&&")[-1].split() for rest in before), "as root"
    for word, rest in found[users[0] :]:
        assert word != "COPY" or rest.startswith("--chown=reader:reader "), rest


def test_what_is_copied_before_the_packages_is_there_and_suffices_to_install():
    *_, first, _ = [rest.split()[1:-1] for word, rest in instructions() if word == "COPY"]
    copied = {
        name for word, rest in instructions() if word == "COPY" for name in rest.split()[1:-1]
    }
    assert all((ROOT / name).exists() for name in copied), first
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert {"Makefile", "pyproject.toml", "requirements.lock", project["readme"]} <= copied


def test_images_have_a_python_that_the_project_runs_on():
    supported = re.search(r"^SUPPORTED := (.*)$", (ROOT / "Makefile").read_text(), re.M)
    assert supported
    container = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text())
    assert container["remoteUser"] != "root" and container["postCreateCommand"].startswith("make")
    for image in (instructions()[0][1], container["image"]):
        assert python(image) in supported[1].split()


def test_services_share_one_checkout_and_volumes_are_declared():
    tree = YAML(typ="safe", pure=True).load((ROOT / "compose.yaml").read_text())
    assert set(tree["services"]) == {"repro", "ui"}
    (home,) = [rest for word, rest in instructions() if word == "WORKDIR"]
    for service in tree["services"].values():
        assert service["volumes"] == [f"project:{home}"] and service["build"] == "."
        assert service["image"] == "ebmrepro:local" and service["pull_policy"] == "build"
    assert set(tree["volumes"]) == {"project"}
    assert tree["services"]["ui"]["command"] == ["ebmrepro", "ui"]


def test_what_belongs_to_one_machine_is_not_copied_into_the_image():
    left_out = set((ROOT / ".dockerignore").read_text().split())
    assert {".venv", ".ebmrepro", ".dvc/cache", "data", "models", "generated"} <= left_out
    assert ".git" not in left_out  # DVC works in a repository
