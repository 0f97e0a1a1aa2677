"""What a person can mend, said in one line."""


class UserError(ValueError):
    """What a person can mend; the message is one line that names the place and what is allowed."""
