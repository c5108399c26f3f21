"""A link with two hosts: when the first is gone the second carries, and when it is back, the first again."""

from tests.acceptance.conftest import Ferry
from tests.acceptance.test_changed_link import change, start_second_simulator
from tests.stack import wait_until


def carried_by(ferry: Ferry, port: int) -> bool:
    return bool(ferry.sql("SELECT 1 FROM processor_linkstatus WHERE up AND endpoint = %s", f"127.0.0.1:{port}"))


def test_the_second_carries_while_the_first_is_gone(running: Ferry) -> None:
    second, _ = start_second_simulator(running)
    first = running.simulator_port
    change(running, "--endpoint", f"127.0.0.1:{first}", "--endpoint", f"127.0.0.1:{second}", "--failback", "2")
    wait_until(lambda: carried_by(running, first), 20, "the first host carries")

    running.processes["simulator"].kill()
    wait_until(lambda: carried_by(running, second), 20, "the second host carries")
    with running.client() as client:
        assert running.post(client, 100, wait=20, expires_in=3600)["status"] == "approved"

        running.start("simulator")
        wait_until(lambda: carried_by(running, first), 40, "the first host carries again")
        assert running.post(client, 200, wait=20, expires_in=3600)["status"] == "approved"

    assert "nothing is wrong" in running.manage("verify")
