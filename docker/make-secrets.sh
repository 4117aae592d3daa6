#!/bin/sh
# Makes the secrets of the stack that are not there yet, each in a file of its own: sh docker/make-secrets.sh
# Only their owner may enter the folder; the files in it are mounted into containers, whose users must read them.
set -eu
folder=${1:-secrets}
mkdir -p "$folder"
chmod 700 "$folder"

random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }
keep() { [ -e "$folder/$1" ] || printf %s "$2" >"$folder/$1"; }

for name in postgres mlflow_db mlflow_admin mlflow_api mlflow_worker prefect_db redis; do
  keep "${name}_password" "$(random)"
done
for name in mlflow_secret_key s3_access_key s3_secret_key; do
  keep "$name" "$(random)"
done
keep prefect_account "gatecast:$(random)"
keep prefect_docket_url memory://
keep keys.json '[]'
chmod 644 "$folder"/*
