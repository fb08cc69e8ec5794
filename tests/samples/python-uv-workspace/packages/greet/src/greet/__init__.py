"""A member of the workspace."""


def hello(name):
    return f"Hello, {name}, from a workspace of uv."
