"""What an exercise file may say."""

import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError, model_validator

from runtime.mistakes import Mistake, Mistakes, from_schema
from runtime.schema import ClassName, Identifier, Latitude, Longitude, NotNegative, Positive, Strict

Place = tuple[Latitude, Longitude]


class Pause(Strict):
    """A rest at a point of the path."""

    at: Annotated[int, Field(ge=0)] = Field(description="Which point of the path, counted from 0")
    for_s: Positive


class Targets(Strict):
    """One or several targets that go the same way."""

    id: Identifier
    what: ClassName = Field("person", alias="class")
    count: Annotated[int, Field(ge=1)] = 1
    spread_m: NotNegative = 4.0
    path: list[Place] = Field(
        min_length=1, description="Points they walk or drive along; one point: they roam about it"
    )
    roam_m: NotNegative = Field(0.0, description="How far they roam about their path")
    speed_mps: Positive = 1.3
    depart_s: NotNegative = 0.0
    again_every_s: Positive | None = Field(None, description="Others follow after this long, until the end")
    pause: list[Pause] = Field([])
    plates: list[str] = Field([], description="For vehicles, one each in turn; invented ones")
    unit: str = Field("", description="They are a unit of ours, which says where it is under this id")

    @model_validator(mode="after")
    def _pauses_on_its_path(self) -> "Targets":
        for pause in self.pause:
            if pause.at >= len(self.path):
                raise ValueError(f"pauses at point {pause.at}, but its path has points 0 to {len(self.path) - 1}")
        return self


class Silence(Strict):
    """A sensor that says nothing for a while."""

    sensor: Identifier
    from_s: NotNegative = 0.0
    for_s: Positive


class Exercise(Strict):
    """exercises/*.toml"""

    title: str
    seed: int = 1
    start: str = Field("2026-11-20T04:00:00Z", description="When it begins; played live, it begins now")
    duration_s: Annotated[int, Field(gt=0, le=86_400)]
    targets: list[Targets] = Field([])
    silence: list[Silence] = Field([])
    format: Literal[1] = 1


def read_exercise(path: Path) -> Exercise:
    """The exercise in a file. Raises Mistakes."""
    name = str(path)
    if not path.is_file():
        there = sorted(str(p) for p in path.parent.glob("*.toml"))
        raise Mistakes([Mistake(name, "", "", "does not exist.", f"There is {', '.join(there)}." if there else "")])
    try:
        return Exercise.model_validate(tomllib.loads(path.read_text()))
    except tomllib.TOMLDecodeError as error:
        raise Mistakes([Mistake(name, "", "", f"is not TOML: {error}.", "")]) from error
    except ValidationError as error:
        fields = sorted({*Exercise.model_fields, *Targets.model_fields, *Pause.model_fields, *Silence.model_fields})
        raise Mistakes([from_schema(name, "", each, fields) for each in error.errors(include_url=False)]) from error
