"""A small client for the spectra endpoint of Lumen Cloud, as we hand it to integrators."""

import time
import urllib.error
import urllib.request

RETRY_SECONDS = (2, 5, 15, 40)


class SpectraClient:
    """Uploads spectra one by one. Not thread-safe."""

    def __init__(self, base_url, token):
        self.base_url = base_url.rstrip("/")
        self.token = token

    def upload(self, device_id, spectrum):
        """Send one spectrum; returns the id that the server gave it.

        Waits and tries again when the server answers 429 or 503, four times at most: 2, 5, 15 and
        40 seconds. Raises UploadRejected for any other error.
        """
        for delay in (*RETRY_SECONDS, None):
            try:
                return self._post(f"/devices/{device_id}/spectra", spectrum)
            except urllib.error.HTTPError as exc:
                if exc.code not in (429, 503) or delay is None:
                    raise UploadRejected(exc.code) from exc
                time.sleep(delay)

    def _post(self, path, body):
        request = urllib.request.Request(self.base_url + path, body, method="POST")
        request.add_header("Authorization", f"Bearer {self.token}")
        request.add_header("Content-Type", "application/vnd.lumen.spectrum")
        with urllib.request.urlopen(request, timeout=30) as reply:
            return reply.headers["Location"].rsplit("/", 1)[-1]


class UploadRejected(Exception):
    """The server refused a spectrum for good; `args[0]` is the HTTP status."""
