"""compose.yaml as Docker would read it, as far as the tests need: merged, with the defaults of its variables."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
_STAGES = {"order-service": "service", "order-service-tests": "tests"}  # of the Dockerfile, by the image's name
_VARIABLE = re.compile(r"\$\{(\w+):-([^}]*)\}")


class Service:
    """One service. `name` is also its host name in the network of the containers."""

    def __init__(self, name: str, given: dict[str, Any]) -> None:
        self.name = name
        self.given = given

    @property
    def stage(self) -> str | None:
        """The Dockerfile's stage that its image is; None for the images of others."""
        return _STAGES.get(str(self.given["image"]).partition(":")[0])

    @property
    def is_part(self) -> bool:
        """A part of the product."""
        return self.stage == "service"

    @property
    def environment(self) -> dict[str, str]:
        """What it sets, over what its image sets, of which PATH is left out."""
        own = {name: str(value) for name, value in self.given.get("environment", {}).items()}
        return {**(image_environment(self.stage) if self.stage else {}), **own}

    @property
    def words(self) -> list[str]:
        """What the container executes: the entrypoint, the image's where the service names none, and the command."""
        entrypoint = self.given.get("entrypoint", image_words(self.stage, "ENTRYPOINT") if self.stage else [])
        return [*entrypoint, *self.given["command"]]

    @property
    def mounts(self) -> list[tuple[str, str]]:
        """Source and target of each volume: a path of the project, which begins with ./, or a volume's name."""
        return [(source, target) for source, target, *_ in (one.split(":") for one in self.given.get("volumes", []))]

    @property
    def secrets(self) -> dict[str, str]:
        """Where the container finds each secret, by the secret's name."""
        listed = [one if isinstance(one, dict) else {"source": one} for one in self.given.get("secrets", [])]
        return {one["source"]: one.get("target", f"/run/secrets/{one['source']}") for one in listed}

    @property
    def needs(self) -> dict[str, str]:
        """The condition for each service that it waits for."""
        return {name: given["condition"] for name, given in self.given.get("depends_on", {}).items()}

    @property
    def published(self) -> list[str]:
        return list(self.given.get("ports", []))


@cache
def compose_file() -> dict[str, Any]:
    text = _VARIABLE.sub(lambda found: found[2], (ROOT / "compose.yaml").read_text(encoding="utf-8"))
    read: dict[str, Any] = yaml.safe_load(text)
    return read


@cache
def services() -> dict[str, Service]:
    return {name: Service(name, given) for name, given in compose_file()["services"].items()}


def stage_text(stage: str) -> str:
    """The Dockerfile's instructions of a stage, each in one line."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    (found,) = re.findall(rf"^FROM \S+ AS {stage}$(.*?)(?=^FROM |\Z)", text, re.MULTILINE | re.DOTALL)
    return str(found)


def image_words(stage: str, instruction: str) -> list[str]:
    """The words of its ENTRYPOINT or CMD."""
    (found,) = re.findall(rf"^{instruction} (\[.*\])$", stage_text(stage), re.MULTILINE)
    words: list[str] = json.loads(found)
    return words


def image_sources(*stages: str) -> list[str]:
    """The files and folders of the project that these stages copy."""
    lines = [
        line for stage in stages for line in re.findall(r"^COPY (?!--from)(.*) \S+$", stage_text(stage), re.MULTILINE)
    ]
    return [source for line in lines for source in line.split()]


def image_environment(stage: str) -> dict[str, str]:
    lines = re.findall(r"^ENV (.*)$", stage_text(stage), re.MULTILINE)
    return {name: value for line in lines for name, value in re.findall(r"(\w+)=(\S+)", line) if name != "PATH"}
