"""What is written on a terminal. Senders, officers and other programs chose part of it: what would steer the terminal, or turn
the order of letters round, is shown as a sign and not obeyed.
"""

from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

# C0 and C1 control characters but tab and newline (a terminal takes U+009B for ESC [), and Unicode's marks of direction.
STEERING = {*range(0x20), *range(0x7F, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F} - {
    0x09,
    0x0A,
}
SIGN = "\N{REPLACEMENT CHARACTER}"
_SIGNS = dict.fromkeys(STEERING, SIGN)


def visible(text: str) -> str:
    """The text with a sign for each character that would steer a terminal."""
    return text.translate(_SIGNS)


class Terminal(Console):
    """Rich's console, for text that others chose."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(visible(segment.text), segment.style)


def terminal(stderr: bool = False, **more: Any) -> Terminal:
    """For sentences: whole lines, however wide the terminal is."""
    return Terminal(stderr=stderr, highlight=False, soft_wrap=True, **more)
