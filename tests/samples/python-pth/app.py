"""Greets whoever asks, with the standard library alone; what is installed beside it is imported whenever Python starts."""

import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


class Greeter(BaseHTTPRequestHandler):
    def do_GET(self):
        name = parse_qs(urlsplit(self.path).query).get("name", ["you"])[0]
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"Hello, {name}, from Python by itself.".encode())


ThreadingHTTPServer(("", int(os.environ.get("PORT", "8080"))), Greeter).serve_forever()
