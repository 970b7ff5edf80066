"""Words that more than one screen uses."""

from assisters_app.base import contact

NAME = "Assisters"
IN_ONE_SENTENCE = "One API for the models you use, with a bill you can check and a privacy policy the software keeps."
COMPANY = contact.ON_ONE_LINE
CONTACT = contact.EMAIL
YOUR_KEY = "ask_your_key"
MODEL = "assisters-chat-v1"
BASE = "http://localhost:3000"  # stands for our address in what is built; `ui.serving` puts the real one in its place


def first_call_python(key: str = YOUR_KEY) -> str:
    """Return the lines that make a first call with the official Python client."""
    return f"""from openai import OpenAI

client = OpenAI(
    base_url="{BASE}/v1",
    api_key="{key}",
)
answer = client.chat.completions.create(
    model="{MODEL}",
    messages=[{{"role": "user", "content": "Say hello."}}],
)
print(answer.choices[0].message.content)"""
