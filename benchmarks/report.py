"""Write docs/performance.md, docs/scaling.md and docs/cuda.md from benchmarks/results/*.json.

Every figure in them comes from the JSON: `python -m benchmarks.report` (`--check` only compares).
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.harness import RESULTS, ROOT
from benchmarks.harness.cuda_page import cuda_document
from benchmarks.harness.formats import Body
from benchmarks.harness.performance_page import ORDER, performance_document
from benchmarks.harness.scaling_page import scaling_document


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the documents, or say which of them are not what the JSON gives."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report", description=__doc__)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--docs", type=Path, default=ROOT / "docs")
    parser.add_argument("--check", action="store_true", help="write nothing; 1 if one differs")
    given = parser.parse_args(arguments)
    stale = []
    for name, text in documents(given.results).items():
        path = given.docs / name
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(str(path))
        if not given.check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    print(f"{'differ' if given.check else 'written'}: {', '.join(stale) or 'none'}")
    return 1 if given.check and stale else 0


def documents(results: Path) -> dict[str, str]:
    """Return the documents by name."""
    bodies = {name: load(results / f"{name}.json") for name in (*ORDER, "cuda")}
    found = {name: body for name, body in bodies.items() if body is not None}
    return {
        "performance.md": performance_document(found),
        "scaling.md": scaling_document(found),
        "cuda.md": cuda_document(found.get("cuda")),
    }


def load(path: Path) -> Body | None:
    """Read one benchmark's JSON, None where it has not been run."""
    if not path.is_file():
        return None
    body: Body = json.loads(path.read_text(encoding="utf-8"))
    return body


if __name__ == "__main__":
    sys.exit(main())
