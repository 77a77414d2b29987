"""Applies one mutation at a time to a copy of the tree and runs the test that must fail.

    python -m tests.mutants

First the named tests must pass as things are; then each must fail on its mutant. The working tree
is never touched. Exit status 1 when a mutant survives, or when it cannot be told.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from rich.console import Console
from rich.table import Table

from tests.mutants.catalogue import MUTANTS, Mutant
from tests.support.database import running_postgres

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("service", "mobile_stub", "migrations", "tests", "pyproject.toml")
PATIENCE_S = 120
PASSED, FAILED = 0, 1


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one mutant: ``killed`` by its test, or why not."""

    mutant: Mutant
    outcome: str
    took_s: float

    @property
    def is_killed(self) -> bool:
        """Whether the test noticed."""
        return self.outcome == "killed"


def main() -> int:
    """Print a table and return the exit status."""
    console = Console()
    misplaced = [each for each in MUTANTS if (ROOT / each.path).read_text().count(each.old) != 1]
    for each in misplaced:
        console.print(f"[red]{each.path}: what {each.name!r} replaces is not there once")
    if misplaced:
        return 1
    with tempfile.TemporaryDirectory(prefix="edgepost-mutants-") as folder:
        tree = Path(folder)
        copy_tree(tree)
        with running_postgres() as server:
            environment = environment_of(tree, os.environ.get("TEST_DATABASE_URL", server.url()))
            code, output = run_tests(tree, sorted({each.test for each in MUTANTS}), environment)
            if code != PASSED:
                console.print(output, "[red]The tests do not pass without a mutant.")
                return 1
            verdicts = [judge(tree, each, environment) for each in MUTANTS]
    console.print(table_of(verdicts))
    survivors = [each for each in verdicts if not each.is_killed]
    console.print(f"{len(verdicts) - len(survivors)} of {len(verdicts)} mutants were killed.")
    return 1 if survivors else 0


def judge(tree: Path, mutant: Mutant, environment: dict[str, str]) -> Verdict:
    """Return what a mutant's test says of it; the copy is whole again afterwards."""
    path = tree / mutant.path
    whole = path.read_text()
    began = monotonic()
    path.write_text(whole.replace(mutant.old, mutant.new))
    try:
        code, _ = run_tests(tree, [mutant.test], environment)
    finally:
        path.write_text(whole)
    outcome = {FAILED: "killed", PASSED: "survived"}.get(code, f"not run ({code})")
    return Verdict(mutant, outcome, monotonic() - began)


def run_tests(tree: Path, tests: Sequence[str], environment: dict[str, str]) -> tuple[int, str]:
    """Return pytest's exit code and output; a test that does not end has failed."""
    command = (sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests)
    try:
        done = subprocess.run(  # noqa: S603 - our own tests
            command,
            cwd=tree,
            env=environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return FAILED, "the tests did not end"
    return done.returncode, done.stdout[-4000:]


def copy_tree(tree: Path) -> None:
    """Copy what the tests need, without caches."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__", ".*")
            shutil.copytree(source, tree / name, ignore=ignored)
        else:
            shutil.copy2(source, tree / name)


def environment_of(tree: Path, database_url: str) -> dict[str, str]:
    """Return an environment in which the copy is what gets imported, also by child processes.

    Compiled files are not written: a mutation can leave size and time of a file as they were.
    """
    return {
        **os.environ,
        "PYTHONPATH": str(tree),
        "PYTHONDONTWRITEBYTECODE": "1",
        "TEST_DATABASE_URL": database_url,
    }


def table_of(verdicts: Sequence[Verdict]) -> Table:
    """Return one line per mutant."""
    table = Table("mutant", "file", "test", "outcome", "seconds")
    for each in verdicts:
        mutant, colour = each.mutant, "green" if each.is_killed else "red"
        test = mutant.test.partition("::")[2]
        outcome = f"[{colour}]{each.outcome}"
        table.add_row(mutant.name, mutant.path, test, outcome, f"{each.took_s:.1f}")
    return table


if __name__ == "__main__":
    sys.exit(main())
