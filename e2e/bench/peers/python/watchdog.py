"""A watchdog service beside the application: each check asks every node of the application, one after the other.

APP is the application's URL. A file named maintenance in the working directory takes the instance out of rotation.
"""

import os

import requests
from flask import Flask, Response

NODES = ("inbound", "outbound", "stats")
APP = os.environ["APP"]

app = Flask(__name__)


@app.get("/my-service/healthcheck")
def healthcheck() -> Response:
    if os.path.exists("maintenance"):
        body = "Under maintenance. Remove maintenance file when complete"
        return Response(body, 503, mimetype="text/plain")
    for node in NODES:
        try:
            status = requests.get(f"{APP}/{node}/isalive", timeout=0.5).status_code
        except requests.RequestException:
            status = 503
        if status != 200:
            return Response("FAILED", status, mimetype="text/plain")
    return Response("OK", 200, mimetype="text/plain")
