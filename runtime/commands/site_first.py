"""The site folder is the first argument of a command. Where it was an option before, that works, and is told the new form."""

import shlex
from pathlib import Path
from typing import Any

from typer.core import TyperCommand

from runtime.commands.common import HERE, people


class SiteFirst(TyperCommand):
    """A command with further arguments behind the site folder."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        site, rest = without_option(args)
        if site is None and rest and self._has_no_site(ctx, rest):
            site = str(HERE)
        if site is not None:
            args = [site, *rest]
            words = f"{ctx.command_path} {shlex.join(args)}"
            people.print(f"The site folder comes first now: {words}", markup=False)
        return super().parse_args(ctx, args)

    def _has_no_site(self, ctx: Any, args: list[str]) -> bool:
        """Whether the first argument is what came first before: no folder, and an argument too few, or any number of them."""
        given, _, _ = self.make_parser(ctx).parse_args(list(args))
        last = next(p for p in reversed(self.get_params(ctx)) if p.param_type_name == "argument")
        first = given.get("site")
        if not isinstance(first, str) or given.get("help") is True or Path(first).is_dir():
            return False
        return last.nargs == -1 or not isinstance(given.get(last.name), str)


def without_option(args: list[str]) -> tuple[str | None, list[str]]:
    """What `--site` was given, and all else."""
    site, rest, words = None, list[str](), iter(args)
    for word in words:
        if word == "--":
            rest += [word, *words]
        elif word == "--site":
            site = next(words, "")
        elif word.startswith("--site="):
            site = word.removeprefix("--site=")
        else:
            rest.append(word)
    return site, rest
