"""``make bench``: every benchmark, or the one that is named, as JSON lines on standard output."""

import sys

from tests.bench.cap import main as cap
from tests.bench.deliver import main as deliver
from tests.bench.ingest import main as ingest

BENCHMARKS = {"cap": cap, "deliver": deliver, "ingest": ingest}


def main() -> None:
    """Run what the command line names."""
    wanted = sys.argv[1] if len(sys.argv) > 1 else "all"
    if wanted != "all" and wanted not in BENCHMARKS:
        sys.exit(f"There is no benchmark {wanted}: choose one of {', '.join(BENCHMARKS)}.")
    for name, run in BENCHMARKS.items():
        if wanted in {"all", name}:
            run()


if __name__ == "__main__":
    main()
