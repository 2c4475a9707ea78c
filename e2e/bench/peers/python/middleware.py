"""A WSGI middleware in front of a web application: a trusted address's health check gets an empty 200, before anything
else in the stack. `application` is the application with it, `bare` the same application without."""

import ipaddress
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from flask import Flask


class HealthCheck:
    def __init__(self, app: WSGIApplication, path: str, trusted: list[str]):
        self.app = app
        self.path = path
        self.trusted = [ipaddress.ip_network(cidr) for cidr in trusted]

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse):
        if environ["PATH_INFO"] == self.path and self.trusts(environ["REMOTE_ADDR"]):
            start_response("200 OK", [("Content-Type", "text/html"), ("Content-Length", "0")])
            return [b""]
        return self.app(environ, start_response)

    def trusts(self, address: str) -> bool:
        ip = ipaddress.ip_address(address)
        return any(ip in network for network in self.trusted)


bare = Flask(__name__)


@bare.get("/", defaults={"path": ""})
@bare.get("/<path:path>")
def anything(path: str) -> str:
    return "application\n"


application = HealthCheck(bare, "/my-service/healthcheck", ["127.0.0.1/32", "::1/128"])
