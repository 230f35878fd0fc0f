"""What the check of an exercise raises when an answer is wrong."""


class WrongAnswerError(Exception):
    """An answer to an exercise is wrong; the message is a hint."""
