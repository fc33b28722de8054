"""The one writer of the mirror's tables, for push, pull and inbound alike."""
