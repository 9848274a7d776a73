"""Write the golden report anew, after a change that is meant: python -m tests.report.regenerate, then read the diff."""

import shutil
import sys
import tempfile
from pathlib import Path

from padim.report import command as report
from tests.report.mixed import build

GOLDEN = Path(__file__).with_name("golden")
FILES = ("report.md", "table_3.csv", "table_3.tex")

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder, "report")
        sys.argv = ["padim-report", *map(str, build(Path(folder, "runs"))), "--output", str(output)]
        report.main()
        for name in FILES:
            shutil.copy(output / name, GOLDEN)
