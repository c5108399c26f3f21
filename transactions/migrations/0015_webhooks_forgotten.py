from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('transactions', '0014_api_key_requests'),
    ]

    operations = [
        migrations.AddField(
            model_name='webhookendpoint',
            name='quiet_until',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name='webhookreplay',
            name='forgotten_delivered',
            field=models.IntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name='webhookreplay',
            name='forgotten_exhausted',
            field=models.IntegerField(db_default=0, default=0),
        ),
    ]
