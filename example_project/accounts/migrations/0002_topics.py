"""A few topics to choose from."""

from django.db import migrations

TOPICS = ["Events", "Product news", "Tutorials"]


def add_topics(apps, schema_editor):
    topics = apps.get_model("accounts", "Topic").objects.using(schema_editor.connection.alias)
    for name in TOPICS:
        topics.get_or_create(name=name)


class Migration(migrations.Migration):
    dependencies = [("accounts", "0001_initial")]
    operations = [migrations.RunPython(add_topics, migrations.RunPython.noop)]
