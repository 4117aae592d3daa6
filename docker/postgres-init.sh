#!/bin/sh
# Runs once, when the volume is new: a database for MLflow and one for Prefect, each with an owner of its own.
set -eu
psql --no-psqlrc --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres <<'SQL'
\set mlflow `cat /run/secrets/mlflow_db_password`
\set prefect `cat /run/secrets/prefect_db_password`
CREATE ROLE mlflow LOGIN PASSWORD :'mlflow';
CREATE ROLE prefect LOGIN PASSWORD :'prefect';
CREATE DATABASE mlflow OWNER mlflow;
CREATE DATABASE prefect OWNER prefect;
REVOKE ALL ON DATABASE mlflow, prefect FROM PUBLIC;
SQL
