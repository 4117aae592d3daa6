"""MLflow: runs, versions, aliases, and a cache of bundles."""
