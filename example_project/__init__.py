"""A small site with the app installed: signup, login, a profile page, a newsletter form, and the admin."""
