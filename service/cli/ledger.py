"""The two ledgers."""

import sys

import click

from service.cli.store import chosen_settings, opened_store
from service.flows.check_ledgers import check_ledgers, lines


@click.group()
def ledger() -> None:
    """Counts of people and deliveries."""


@ledger.command("check")
def check() -> None:
    """Hold both ledgers against counts from independent rows; exit status 1 when they differ."""
    with opened_store(chosen_settings()) as sessions:
        ledgers = check_ledgers(sessions)
    for line in lines(ledgers):
        click.echo(line)
    if not all(each.is_balanced for each in ledgers):
        sys.exit(1)
