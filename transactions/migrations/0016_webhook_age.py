from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    """Finds webhooks that ended long ago. Nobody waits while it is built."""

    atomic = False

    dependencies = [
        ('transactions', '0015_webhooks_forgotten'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='webhookdelivery',
            index=models.Index(condition=models.Q(('ended_at__isnull', False)), fields=['ended_at'], name='webhookdelivery_age'),
        ),
    ]
