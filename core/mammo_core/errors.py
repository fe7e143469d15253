"""The one error that bad input raises, so that every caller can say what was wrong and go on."""


class InputError(ValueError):
    """Something given to the product cannot be used.

    The message is a sentence for the person who gave it: it names the file or field, the value found and
    what was expected. ``subject`` is the file or field, ``reason`` the rest of the sentence.
    """

    def __init__(self, subject: str, reason: str) -> None:
        super().__init__(f"{subject}: {reason}")
        self.subject = subject
        self.reason = reason
