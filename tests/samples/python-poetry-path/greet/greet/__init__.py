"""A package beside the application."""


def hello(name):
    return f"Hello, {name}, from Python by a path of poetry."
