"""What an installation may set is written down for those who install it."""

import re

from tests.stack import BASE

READS = re.compile(
    r"""(?:_flag|_number|_list|_secret|_port|environ\.get|environ\.setdefault)\(\s*"([A-Z_]+)"|"([A-Z_]+)" not in os"""
)
NOT_OURS = {"DJANGO_SETTINGS_MODULE"}


def test_the_example_lists_every_setting_and_no_other() -> None:
    sources = [path.read_text() for path in (BASE / "config").glob("*.py")]
    read = {name for source in sources for found in READS.findall(source) for name in found if name}

    example = (BASE / "production" / "env.example").read_text()

    assert set(re.findall(r"^#?([A-Z_]+)=", example, re.MULTILINE)) == read - NOT_OURS
