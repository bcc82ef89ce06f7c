"""Certificates of a test's own, and TLS in front of a server that speaks none."""

import socket
import ssl
import subprocess
import threading


class Authority:
    """A CA in a folder; certificates it signs stand there as NAME.crt and NAME.key."""

    def __init__(self, folder):
        self.folder = folder
        self.ca = folder / "ca.crt"
        self._openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test CA",
                      "-keyout", folder / "ca.key", "-out", self.ca)

    def _openssl(self, *arguments):
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, cwd=self.folder)

    def sign(self, name, subject, alt=None):
        """A certificate and its key; `alt` as in subjectAltName."""
        key, request, made = (self.folder / f"{name}.{end}" for end in ("key", "csr", "crt"))
        self._openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={subject}", "-keyout", key, "-out", request)
        extensions = self.folder / f"{name}.ext"
        extensions.write_text(f"subjectAltName={alt}\n" if alt else "")
        self._openssl("x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", self.folder / "ca.key",
                      "-CAcreateserial", "-days", "2", "-extfile", extensions, "-out", made)
        return made, key


class Front:
    """Speaks TLS to clients and passes everything on in clear text."""

    def __init__(self, target, cert, key, client_ca=None):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(cert, key)
        if client_ca is not None:
            self.context.verify_mode = ssl.CERT_REQUIRED
            self.context.load_verify_locations(client_ca)
        self.target = target
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.n_taken = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self.listener.close()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        try:
            client.settimeout(30)
            client = self.context.wrap_socket(client, server_side=True)
            server = socket.create_connection(self.target)
        except OSError:
            client.close()
            return
        self.n_taken += 1
        back = threading.Thread(target=self._pass, args=(server, client), daemon=True)
        back.start()
        self._pass(client, server)

    @staticmethod
    def _pass(source, sink):
        try:
            while data := source.recv(1 << 16):
                sink.sendall(data)
        except OSError:
            pass
        for each in (source, sink):
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
