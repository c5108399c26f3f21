"""The API is what its document says: schemathesis asks whatever that allows, and what it forbids."""

import os
import subprocess
import sys
from pathlib import Path

from tests.acceptance.conftest import Ferry
from tests.stack import BASE

CONFIG = Path(__file__).with_name("schemathesis.toml")


def test_every_answer_is_in_the_document_and_what_it_forbids_is_refused(running: Ferry) -> None:
    with running.client() as client:
        payment = running.post(client, 100)
    command = [str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(CONFIG), "--no-color"]
    environment = os.environ | {"API_KEY": running.api_key, "PAYMENT_ID": payment["id"]}

    done = subprocess.run(
        [*command, "run", str(BASE / "openapi.yaml"), "--url", running.url],
        cwd=running.folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    running.wait_until_ended(60)
    running.everything_holds()
