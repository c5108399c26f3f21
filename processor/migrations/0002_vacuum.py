"""Rows here live for seconds: vacuum by their number, at once and unthrottled, never by a share of the table."""

from django.db import migrations

SET = """
ALTER TABLE processor_inboundframe SET (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000, autovacuum_vacuum_cost_delay = 0
)"""
RESET = """
ALTER TABLE processor_inboundframe RESET (
    autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold, autovacuum_vacuum_cost_delay
)"""


class Migration(migrations.Migration):
    dependencies = [("processor", "0001_initial")]
    operations = [migrations.RunSQL(SET, RESET)]
