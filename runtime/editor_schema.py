"""JSON Schemas for editors, from the same definitions that `check` uses."""

import json
from pathlib import Path

from pydantic import BaseModel

from runtime.schema import AccountsFile, AgenciesFile, RulesFile, SensorsFile, SiteFile
from runtime.simulator.exercise import Exercise

FILES: dict[str, type[BaseModel]] = {
    "site": SiteFile,
    "sensors": SensorsFile,
    "rules": RulesFile,
    "agencies": AgenciesFile,
    "accounts": AccountsFile,
    "exercise": Exercise,
}


def schemas() -> dict[str, str]:
    """File name → text."""
    return {
        f"{name}.schema.json": json.dumps(
            {"$schema": "https://json-schema.org/draft/2020-12/schema"} | model.model_json_schema(), indent=2
        )
        + "\n"
        for name, model in FILES.items()
    }


def write_schemas(folder: Path) -> list[Path]:
    """Write them all; their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / name for name in schemas()]
    for path, text in zip(paths, schemas().values(), strict=True):
        path.write_text(text)
    return paths
