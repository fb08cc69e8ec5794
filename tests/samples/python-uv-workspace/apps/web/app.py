"""Says what another member of the workspace says."""

from flask import Flask, request
from greet import hello

app = Flask(__name__)


@app.get("/")
def greeting():
    return hello(request.args.get("name", "world"))
