"""A small GitHub: the four addresses that signing in with it touches, as strict as the real ones about the code."""

import base64
import hashlib
import json
import secrets
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlencode, urlsplit

ID, SECRET = "gh-client", "gh-secret"


class GitHub:
    """One person's account there, and the codes and tokens given out."""

    def __init__(self):
        self.user = {"id": 583231, "login": "ada", "name": "Ada Lovelace"}
        self.emails = [
            {"email": "old@example.com", "primary": False, "verified": True},
            {"email": "ada@example.com", "primary": True, "verified": True},
        ]
        self.codes, self.tokens = {}, set()

    def authorize(self, query):
        """Let the person agree; return where the browser is sent back to."""
        asked = dict(parse_qsl(query))
        code = secrets.token_hex(10)
        self.codes[code] = asked
        return asked["redirect_uri"] + "?" + urlencode({"code": code, "state": asked["state"]})

    def exchange(self, form):
        """Give a token for a code, once; GitHub says no with status 200."""
        asked = self.codes.pop(form.get("code", ""), None)
        if form.get("client_id") != ID or form.get("client_secret") != SECRET:
            return {"error": "incorrect_client_credentials"}
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if asked is None or asked["code_challenge"] != challenge or asked["code_challenge_method"] != "S256":
            return {"error": "bad_verification_code"}
        if asked["redirect_uri"] != form.get("redirect_uri"):
            return {"error": "redirect_uri_mismatch"}
        token = "gho_" + secrets.token_hex(16)
        self.tokens.add(token)
        return {"access_token": token, "scope": asked["scope"].replace(" ", ","), "token_type": "bearer"}


@contextmanager
def served():
    """Serve one for the length of the block; yield it and its address."""
    github = GitHub()

    class Door(BaseHTTPRequestHandler):
        def do_POST(self):
            form = dict(parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
            found = urlsplit(self.path).path == "/login/oauth/access_token"
            self._say(github.exchange(form) if found else None)

        def do_GET(self):
            parts = urlsplit(self.path)
            if parts.path == "/login/oauth/authorize":
                self.send_response(302)
                self.send_header("Location", github.authorize(parts.query))
                self.end_headers()
                return
            if self.headers.get("Authorization", "").removeprefix("Bearer ") not in github.tokens:
                self._say({"message": "Requires authentication"}, 401)
                return
            self._say({"/user": github.user, "/user/emails": github.emails}.get(parts.path))

        def _say(self, body, status=200):
            self.send_response(status if body is not None else 404)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *words):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield github, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
