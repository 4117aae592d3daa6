#!/bin/sh
# sh requirements/slim.sh ENVIRONMENT: leaves of an installation what the service needs.
# Test suites, sources of compiled modules and tools that make models go. Bytecode, which a read-only image cannot
# write for itself, is there for what every start imports, and for nothing else.
set -eu
python=$(cd "$1" && pwd)/bin/python
site=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
find "$site" -type d \( -name tests -o -name __pycache__ \) -prune -exec rm -r {} +
find "$site" -type f \( -name '*.pyx' -o -name '*.pxd' -o -name '*.pxi' -o -name '*.pyi' -o -name '*.h' \) -delete
rm -r "$site/onnxruntime/quantization" "$site/onnxruntime/tools" "$site/onnxruntime/transformers"
scratch=$(mktemp -d)
cd "$scratch" # the installed package is meant, not that of a checkout
PYTHONDONTWRITEBYTECODE='' "$python" -c '
from pathlib import Path
import forecasting.cli.main, forecasting.serve.server
from forecasting.registry.registry import Registry
Registry("sqlite:///mlflow.db", Path("artifacts"), Path("locks")).jobs()
'
rm -r "$scratch"
