"""The public endpoint in Chromium: a page by https, over HTTP/2, and a WebSocket over the same connection (RFC 8441)."""

import base64
import hashlib
import json
import os
import subprocess
import tempfile
import threading
import unittest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from balancing import Balancer, configuration, eventually
from test_dashboard import browser

PAGE = b"""<!doctype html><title>edge</title><link rel=stylesheet href=/style.css><h1>here</h1>"""


class Site:
    """A page with a style, and a WebSocket that sends back what it is sent."""

    def __init__(self):
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                if self.headers.get("Upgrade") == "websocket":
                    return self.talk()
                is_style = self.path == "/style.css"
                body = b"h1 { color: rgb(1, 2, 3) }" if is_style else PAGE
                self.send_response(200)
                self.send_header("Content-Type", "text/css" if is_style else "text/html")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def talk(self):
                key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
                self.send_response(101)
                self.send_header("Upgrade", "websocket")
                self.send_header("Connection", "Upgrade")
                self.send_header("Sec-WebSocket-Accept", base64.b64encode(hashlib.sha1(key.encode()).digest()).decode())
                self.end_headers()
                self.close_connection = True
                # Short frames of a client: two bytes, a mask of four, and the text (RFC 6455 5.2).
                while len(head := self.rfile.read(2)) == 2:
                    mask, text = self.rfile.read(4), self.rfile.read(head[1] & 0x7F)
                    plain = bytes(byte ^ mask[place % 4] for place, byte in enumerate(text))
                    self.wfile.write(bytes([head[0], len(plain)]) + plain)
                    if head[0] & 0xF == 8:
                        return

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

        self.server = Server(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class EdgeTest(unittest.TestCase):
    def test_page_and_socket(self):
        site = Site()
        self.addCleanup(site.stop)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        chain, key, log = (os.path.join(folder.name, name) for name in ("tls.crt", "tls.key", "access.log"))
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-keyout", key, "-out",
             chain, "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"], check=True, capture_output=True)
        spec = configuration({"site": [site.address]}, [{"name": "all", "split": {"site": 1}}])
        del spec["upstreams"]["site"]["health"]
        spec["listeners"][0]["tls"] = {"certificates": [{"certificate": chain, "key": key}]}
        spec["accessLog"] = {"enabled": True, "path": log}
        balancer = Balancer(spec)
        self.addCleanup(balancer.stop)
        driver = browser(arguments=["--ignore-certificate-errors"])
        self.addCleanup(driver.quit)
        driver.get(f"https://localhost:{balancer.port}/")
        self.assertEqual(driver.find_element("css selector", "h1").value_of_css_property("color"), "rgba(1, 2, 3, 1)")
        protocols = driver.execute_script("return performance.getEntries().map(e => e.nextHopProtocol).filter(Boolean)")
        self.assertEqual(set(protocols), {"h2"})
        said = driver.execute_async_script("""
            const done = arguments[0], socket = new WebSocket(`wss://${location.host}/chat`);
            socket.onopen = () => socket.send("hello");
            socket.onmessage = event => { socket.close(1000); socket.onclose = end => done([event.data, end.code, end.wasClean]); };
            socket.onerror = () => done("error");""")
        self.assertEqual(said, ["hello", 1000, True])

        def chat():
            with open(log, encoding="utf-8") as lines:
                return [record for record in map(json.loads, lines) if record.get("target") == "/chat"]

        record = eventually(chat, 10, "the socket's record")[0]
        self.assertEqual(record["protocol"], "HTTP/2")


if __name__ == "__main__":
    unittest.main()
