"""The stories' fixtures, for the tests that need a foreign tool."""

from tests.acceptance.conftest import ferry, prepared

__all__ = ["ferry", "prepared"]
