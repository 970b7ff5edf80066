"""The metered API as one function of Vercel's: what its runtime serves."""

from assisters_app.asgi import api_alone

app = api_alone()
