"""The receiver that docs/receiving.md shows, run as it stands there."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

DOCUMENT = Path(__file__).parents[2] / "docs" / "receiving.md"


def documented_receiver() -> Any:
    """The names that the document's Python defines."""
    (code,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(code, str(DOCUMENT), "exec"), names)
    return SimpleNamespace(**names)
