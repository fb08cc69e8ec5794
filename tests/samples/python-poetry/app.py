"""Says hello, with a template that Flask fills in."""

from asgiref.wsgi import WsgiToAsgi
from flask import Flask, render_template_string, request

app = Flask(__name__)


@app.get("/")
def hello():
    name = request.args.get("name", "world")
    return render_template_string("Hello, {{ name }}, from Python by poetry.", name=name)


# Served by uvicorn: Flask speaks WSGI.
application = WsgiToAsgi(app)
