from django.apps import AppConfig


class NamelessConfig(AppConfig):
    name = "tests.nameless"
    label = "nameless"
    default_auto_field = "django.db.models.BigAutoField"
