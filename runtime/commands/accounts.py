"""`marchwarden accounts …`: who may use the console."""

import secrets
import sys
from pathlib import Path
from typing import Annotated

import typer

from console.people import ROLES, hashed, token_hash
from runtime.commands.common import Site, people
from runtime.configuration import load

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Who may use the console.\n\nExample: marchwarden accounts add configs garcia --agency border-patrol",
)
Id = Annotated[str, typer.Argument(help="What they sign in with, or what the program is called", show_default=False)]
AgencyOf = Annotated[str, typer.Option(help="They see what this agency may see; left out: everything")]
RoleOf = Annotated[str, typer.Option(help=f"One of {', '.join(ROLES)}")]
LEAST = 10


@app.command(epilog="Example: marchwarden accounts add configs garcia --agency border-patrol --role officer")
def add(
    site: Site,
    account: Id,
    name: Annotated[str, typer.Option(help="How others read it")] = "",
    agency: AgencyOf = "",
    role: RoleOf = "officer",
) -> None:
    """Add a person. Asks for the password, or reads it from standard input."""
    if sys.stdin.isatty():
        password = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    else:
        password = sys.stdin.readline().rstrip("\n")
    if len(password) < LEAST:
        raise typer.BadParameter(f"A password has at least {LEAST} characters.")
    _add(site, account, name, agency, role, f'password = "{hashed(password)}"')


@app.command(epilog="Example: marchwarden accounts token configs dispatch --agency sheriff-cochise --role observer")
def token(site: Site, account: Id, agency: AgencyOf = "", role: RoleOf = "observer") -> None:
    """Add a program. Prints its token, once: only its hash is kept."""
    secret = secrets.token_urlsafe(32)
    _add(site, account, "", agency, role, f'token = "{token_hash(secret)}"')
    print(secret)


def _add(site: Path, account: str, name: str, agency: str, role: str, known_by: str) -> None:
    """Write the entry at the end of the site's accounts, if the site is whole with it."""
    c = load(site)
    if role not in ROLES:
        raise typer.BadParameter(f"{role!r} is none of {', '.join(ROLES)}.")
    path = site / c.site.files.accounts
    before = path.read_text() if path.exists() else ""
    said = [f'id = "{account}"', f'name = "{name}"' if name else "", f'agency = "{agency}"' if agency else ""]
    entry = "\n".join(["[[account]]", *filter(None, said), f'role = "{role}"', known_by, ""])
    path.touch(mode=0o600)
    path.write_text(before + ("\n" if before else "") + entry)
    try:
        load(site)
    except Exception:
        path.write_text(before)  # as it was: what is wrong is told, and not left behind
        raise
    people.print(f"{account} is in {path}. A running service takes it into use on SIGHUP.", markup=False)
