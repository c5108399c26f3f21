from django.db import migrations


class Migration(migrations.Migration):
    """A payment's first update, its dispatch, changes nothing that is indexed: with room on its page no index learns of it."""

    dependencies = [
        ("transactions", "0018_words"),
    ]

    operations = [
        migrations.RunSQL(
            "ALTER TABLE transactions_payment SET (fillfactor = 50)",
            "ALTER TABLE transactions_payment RESET (fillfactor)",
        ),
    ]
