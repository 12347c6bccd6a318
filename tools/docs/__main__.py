"""Write the generated documentation: `python -m tools.docs --write`; without `--write`, name what is stale."""

from __future__ import annotations

import argparse
import sys

from tools.docs import configuration, generate


def main(arguments: list[str] | None = None) -> int:
    """Run every generator; returns 1 if a page is stale and was not written."""
    parser = argparse.ArgumentParser(prog="python -m tools.docs", description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the pages")
    write = parser.parse_args(arguments).write
    return max(configuration.main(["--write" if write else "--check"]), generate.main(write=write))


if __name__ == "__main__":
    sys.exit(main())
