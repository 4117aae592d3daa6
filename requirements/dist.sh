#!/bin/sh
# sh requirements/dist.sh BIN: wheel and sdist in dist/, with the tools of BIN, and the proof that they are whole.
# They are built twice, from this tree and from the sdist itself, and must be equal byte for byte. Then the wheel is
# installed into empty environments, with the versions of the locks and nothing of this tree, and is tried there.
set -eu
bin=$(cd "$1" && pwd)
uv=$bin/uv
scratch=$(mktemp -d)
trap 'rm -r "$scratch"' EXIT
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH
[ -z "$(git status --porcelain)" ] || echo "note: the tree differs from its last commit; what is built, too" >&2

rm -rf dist
"$bin/python" -m hatchling build -d "$PWD/dist" >/dev/null 2>&1
wheel=$(ls "$PWD"/dist/*.whl)
sdist=$(ls "$PWD"/dist/*.tar.gz)
tar -xzf "$sdist" -C "$scratch"
cd "$scratch/$(basename "$sdist" .tar.gz)"
rm PKG-INFO # which the build makes
"$bin/python" -m hatchling build -d "$scratch/again" >/dev/null 2>&1
cd "$OLDPWD"
cmp "$wheel" "$scratch/again/$(basename "$wheel")"
cmp "$sdist" "$scratch/again/$(basename "$sdist")"
echo "built twice, byte for byte the same:"
(cd dist && sha256sum ./*)

serve=$scratch/serve
"$uv" venv --quiet "$serve"
"$uv" pip install --quiet --python "$serve/bin/python" --require-hashes -r requirements/serve.txt
"$uv" pip install --quiet --python "$serve/bin/python" --no-deps "$wheel"
requirements=$PWD/requirements
cd "$scratch" # the installed package is meant, not that of this tree
"$serve/bin/python" - > readings.csv <<'PYTHON'
import datetime, math
print("time;level")
for hour in range(600):
    stamp = datetime.datetime(2026, 1, 1) + datetime.timedelta(hours=hour)
    level = 10 + 3 * math.sin(hour * math.pi / 12) + (hour * 7919 % 101) / 101
    print(f"{stamp};{level:.3f}".replace(".", ","))
PYTHON
"$serve/bin/gatecast" --version
"$serve/bin/gatecast" init readings.csv --horizon 12 --yes | tail -n 1
"$serve/bin/python" -c 'import forecasting as fc; print("job:", fc.load("configs/readings.yaml").name)'
if "$serve/bin/gatecast" try readings.csv --yes --home refused 2> refused.txt; then
  echo "the base install, which cannot train, tried to" >&2
  exit 1
fi
grep -F "pip install 'gatecast[all]'" refused.txt

try() { "$uv" tool run --quiet --isolated --constraints "$requirements/worker.txt" --from "$wheel[all]" gatecast "$@"; }
try check configs/readings.yaml
try try readings.csv --horizon 12 --yes --no-open
echo "the wheel works by itself"
