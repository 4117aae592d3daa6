#!/bin/sh
# sh requirements/slim.sh ENVIRONMENT: leaves of an installation what the service needs.
# Test suites and sources of compiled modules go. Bytecode, which a read-only image cannot write for itself, is there
# for what every start imports, and for nothing else.
set -eu
site=$("$1/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
find "$site" -type d \( -name tests -o -name __pycache__ \) -prune -exec rm -r {} +
find "$site" -type f \( -name '*.pyx' -o -name '*.pxd' -o -name '*.pxi' -o -name '*.pyi' -o -name '*.h' \) -delete
cd / # the installed package is meant, not that of a checkout
PYTHONDONTWRITEBYTECODE='' "$1/bin/python" -c 'import forecasting.cli, forecasting.serve.server'
