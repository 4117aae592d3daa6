"""Make the files of this folder from the package bokeh_sampledata: `python data/prepare.py DIRECTORY_WITH_ITS_DATA`.

Run by hand when the data is renewed; nothing else uses it.
"""

import gzip
import hashlib
import shutil
import sys
from pathlib import Path

import pandas as pd

__all__ = ["main"]

HERE = Path(__file__).parent


def main(source: Path) -> None:
    """Write the three files and print their checksums."""
    glucose(source / "CGM.csv.gz", HERE / "glucose" / "cgm.csv.gz")
    shutil.copyfile(source / "sea_surface_temperature.csv.gz", HERE / "sea_surface" / "sea_surface_temperature.csv.gz")
    shutil.copyfile(source / "stocks.csv.gz", HERE / "stocks" / "stocks.csv.gz")
    for path in sorted(HERE.glob("*/*.csv.gz")):
        print(hashlib.sha256(path.read_bytes()).hexdigest(), path.relative_to(HERE))


def glucose(source: Path, target: Path) -> None:
    """Floor the stamps to the five-minute slot they fall in and leave the cells that say `nil` empty."""
    table = pd.read_csv(source, parse_dates=["datetime"], na_values=["nil"])
    table = table.assign(datetime=table["datetime"].dt.floor("5min"))[["datetime", "glucose", "isig"]]
    text = table.to_csv(index=False, date_format="%Y-%m-%d %H:%M:%S", lineterminator="\n")
    target.write_bytes(gzip.compress(text.encode("ascii"), compresslevel=9, mtime=0))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
