"""Tables to which rows are only ever added: the database refuses everything else, whoever asks."""

import pgtrigger


def only_added(refusal: str) -> list[pgtrigger.Trigger]:
    """Return a table's triggers; the refusal is what who empties it is told."""
    return [
        pgtrigger.Protect(name="insert_only", operation=pgtrigger.Update | pgtrigger.Delete),
        pgtrigger.Trigger(
            name="never_truncate",
            operation=pgtrigger.Truncate,
            level=pgtrigger.Statement,
            when=pgtrigger.Before,
            func=f"RAISE EXCEPTION 'pgtrigger: {refusal}';",
        ),
    ]
