import django.contrib.postgres.indexes
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    """Indexes of tables that may be large and in use: nobody waits while they are built."""

    atomic = False

    dependencies = [
        ('transactions', '0007_saved_searches'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='event',
            index=django.contrib.postgres.indexes.BrinIndex(autosummarize=True, fields=['at'], name='event_at'),
        ),
        AddIndexConcurrently(
            model_name='event',
            index=models.Index(models.F('type'), models.OrderBy(models.F('payment_id'), descending=True), condition=models.Q(('type__in', ['Reversed', 'Resolved', 'Expired', 'Cancelled', 'Failed'])), name='event_seldom'),
        ),
        AddIndexConcurrently(
            model_name='payment',
            index=models.Index(condition=models.Q(('ended_at__isnull', False)), fields=['amount'], name='payment_amount'),
        ),
        AddIndexConcurrently(
            model_name='payment',
            index=models.Index(condition=models.Q(('authorisation_code__isnull', False)), fields=['authorisation_code'], name='payment_code'),
        ),
    ]
