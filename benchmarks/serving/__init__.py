"""The service under load, in trouble and at rest."""
