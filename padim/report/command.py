"""padim-report: the paper's tables, and plots, from folders of finished, failed and missing runs."""

import argparse
from pathlib import Path

from padim.report.curves import read_all
from padim.report.page import page
from padim.report.results import ReportError
from padim.report.runs import find_runs
from padim.report.sections import sections_of
from padim.report.sheet import comma_separated, tex
from padim.writing import replace


def main() -> None:
    arguments = _arguments()
    try:
        found = find_runs(arguments.folders)
    except ReportError as error:
        raise SystemExit(f"padim-report: {error}") from None
    sections = sections_of(found.results)
    curves, unreadable = read_all(found.results)
    found.unreadable += unreadable
    print(page(found, sections, pictures={}))

    # Now, since matplotlib takes longer to import than all before.
    from padim.report.pictures import draw_dimensions_of, draw_memory_of, draw_section

    output = arguments.output
    pictures = {section.key: draw_section(section, curves, output) for section in sections}
    pictures["costs"] = draw_memory_of(found.results, output)
    pictures["found"] = draw_dimensions_of(found.results, output)
    files = {"report.md": page(found, sections, pictures)}
    for sheet in (sheet for section in sections for sheet in section.sheets):
        files |= {f"{sheet.key}.csv": comma_separated(sheet), f"{sheet.key}.tex": tex(sheet)}
    for name, content in files.items():
        replace(output / name, content.encode())
    drawn = [picture.name for own in pictures.values() for picture in own]
    print("written:", *(output / name for name in [*files, *drawn]), sep="\n  ")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("padim-report", description=__doc__)
    parser.add_argument("folders", metavar="DIR", nargs="+", type=Path, help="where to look for runs, however deep")
    parser.add_argument("--output", metavar="DIR", type=Path, default=Path("report"), help="default: %(default)s")
    return parser.parse_args()


if __name__ == "__main__":
    main()
