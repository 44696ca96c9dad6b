"""`perf-alerts keygen`: strong keys and secrets."""

import hashlib

import click


@click.command()
@click.argument(
    "role", type=click.Choice(["viewer", "operator", "admin", "master", "jwt"]), default="admin"
)
@click.option("--hash", "with_hash", is_flag=True, help="Print the form that stores the hash only.")
def keygen(role: str, with_hash: bool) -> None:
    """Make a strong API key for a role, or a secret for tokens (`jwt`), and print it.

    Nothing is stored. With --hash the second line is the hash, which a setting may hold in place
    of the key.

    \b
    perf-alerts keygen operator --hash
    """
    from perf_alerts_dagster.identity.keys import new_key

    key = new_key(role)
    click.echo(key)
    if with_hash and role != "jwt":
        click.echo(f"sha256:{hashlib.sha256(key.encode()).hexdigest()}")
