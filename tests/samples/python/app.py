"""Says hello, with a template that Flask fills in."""

from flask import Flask, render_template_string, request

app = Flask(__name__)


@app.get("/")
def hello():
    name = request.args.get("name", "world")
    return render_template_string("Hello, {{ name }}, from Python.", name=name)
