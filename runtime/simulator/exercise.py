"""What an exercise file may say."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, TypeAdapter, model_validator

from model.time import ns_from_iso
from runtime.mistakes import Mistake, Mistakes
from runtime.schema import ClassName, Identifier, Latitude, Longitude, NotNegative, Positive, Strict
from runtime.text import Unreadable, bytes_of_file, text_of
from runtime.toml import sections_of
from runtime.validation import checked

Place = Annotated[tuple[Latitude, Longitude], Field(strict=False)]


def _is_time(text: str) -> str:
    try:
        ns_from_iso(text)
    except ValueError as error:
        raise ValueError("is no time; write for example '2026-11-20T04:00:00Z'") from error
    return text


class Pause(Strict):
    """A rest at a point of the path."""

    at: Annotated[int, Field(ge=0)] = Field(description="Which point of the path, counted from 0")
    for_s: Positive


class Targets(Strict):
    """One or several targets that go the same way."""

    id: Identifier
    what: ClassName = Field("person", alias="class")
    count: Annotated[int, Field(ge=1, le=100_000)] = 1
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
    seed: Annotated[int, Field(ge=0, lt=1 << 63)] = 1
    start: Annotated[str, AfterValidator(_is_time)] = Field(
        "2026-11-20T04:00:00Z", description="When it begins; played live, it begins now"
    )
    duration_s: Annotated[int, Field(gt=0, le=86_400)]
    targets: list[Targets] = Field([])
    silence: list[Silence] = Field([])
    format: Literal[1] = 1


def read_exercise(path: Path, name: str = "") -> Exercise:
    """The exercise in a file, which mistakes call `name`. Raises Mistakes."""
    name = name or str(path)
    try:
        content = bytes_of_file(path)
        if content is None:
            there = ", ".join(sorted(str(p) for p in path.parent.glob("*.toml")))
            raise Unreadable("does not exist.", f"There is {there}." if there else "")
        sections = sections_of(text_of(content))
    except Unreadable as error:
        raise Mistakes([Mistake(name, "", "", error.wrong, error.hint)]) from error
    found = checked(name, "", Exercise, sections.values, TypeAdapter(Exercise))
    unread = [
        Mistake(name, f"line {m.line}", "", f"{m.text!r} is not TOML: it {m.wrong}", m.hint) for m in sections.mistakes
    ]
    if unread or found.mistakes:
        follow = {(lost, "is missing.") for lost in sections.lost}  # it is there, where it cannot be read
        raise Mistakes(unread + [m for m in found.mistakes if (m.field, m.wrong) not in follow])
    exercise: Exercise = found.value
    return exercise
