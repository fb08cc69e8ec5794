"""Says what a package beside it says."""

from flask import Flask, request
from greet import hello

app = Flask(__name__)


@app.get("/")
def greeting():
    return hello(request.args.get("name", "world"))
