from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('processor', '0012_link_history'),
    ]

    operations = [
        migrations.AlterModelOptions(
            name='message',
            options={'permissions': [('reveal_message', 'Can see a message as it was on the wire, each look with its reason')]},
        ),
        migrations.AddField(
            model_name='message',
            name='sealed_body',
            field=models.BinaryField(null=True),
        ),
        migrations.AddIndex(
            model_name='message',
            index=models.Index(condition=models.Q(('sealed_body__isnull', False)), fields=['at'], name='message_body_age'),
        ),
    ]
