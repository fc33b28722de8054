"""What a person may see and choose of being mailed: by the link in a mail, and by the API for who is signed in."""
