"""`marchwarden acl`: who may publish and read what at the broker."""

import typer

from runtime.broker_access import mosquitto_acl
from runtime.commands.common import Site, people
from runtime.configuration import load


def acl(site: Site) -> None:
    """Print Mosquitto's access list of a site: each sensor, feed and agency its own topics, and nothing else."""
    c = load(site)
    try:
        print(mosquitto_acl(c), end="")
    except ValueError as error:
        people.print(str(error), markup=False)
        raise typer.Exit(2) from error
