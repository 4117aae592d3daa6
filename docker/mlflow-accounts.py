"""Gives the service and the worker their own accounts in MLflow; run again, it renews passwords and permissions.

MLflow owns each registered model and experiment to the account that made it, which may do anything with it.
"""

import logging
import os

from mlflow.exceptions import MlflowException
from mlflow.server import get_app_client

KINDS = ("experiment", "registered_model")
log = logging.getLogger("accounts")


def main() -> None:
    """One account for each reader and writer of the registry, named in the environment."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    client = get_app_client("basic-auth", tracking_uri=os.environ["MLFLOW_TRACKING_URI"])
    for who in ("API", "WORKER"):
        name, permission = f"gatecast-{who.lower()}", os.environ[f"{who}_PERMISSION"]
        set_password(client, name, os.environ[f"{who}_PASSWORD"])
        for kind in KINDS:
            set_permission(client, name, kind, permission)
        log.info("%s: %s on every %s", name, permission, " and ".join(KINDS))


def set_password(client, name: str, password: str) -> None:
    """Make the account, or renew its password."""
    try:
        client.create_user(name, password)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
        client.update_user_password(name, password)


def set_permission(client, name: str, kind: str, permission: str) -> None:
    """Grant it on all of a kind, in the place of another one."""
    try:
        client.grant_user_permission(name, kind, "*", permission)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
        if client.get_user_permission(name, kind, "*").permission != permission:
            client.revoke_user_permission(name, kind, "*")
            client.grant_user_permission(name, kind, "*", permission)


if __name__ == "__main__":
    main()
