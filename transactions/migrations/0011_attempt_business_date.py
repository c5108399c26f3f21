import django.contrib.postgres.indexes
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations


class Migration(migrations.Migration):
    """Finds a business date among many, for reports. Nobody waits while it is built, and it is a few pages."""

    atomic = False

    dependencies = [
        ('transactions', '0010_jobs'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='attempt',
            index=django.contrib.postgres.indexes.BrinIndex(autosummarize=True, fields=['business_date'], name='attempt_business_date', pages_per_range=16),
        ),
    ]
