"""`huggingface_hub.InferenceClient`, as it comes."""

from fixtures import BASE, SAID, model, run
from huggingface_hub import InferenceClient

ask = [{"role": "user", "content": "one two three"}]
client = InferenceClient(base_url=f"{BASE}/v1", api_key="hf_any")


def chat():
    answer = client.chat_completion(ask, model=model("chat-hub") or None)
    assert SAID in answer.choices[0].message.content


def chat_without_a_model():
    # It says `dummy` where it was given an address.
    assert client.chat_completion(ask).choices[0].message.content


def chat_streams():
    chunks = list(client.chat_completion(ask, model=model("chat-hub") or None, stream=True))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert SAID in text and len(chunks) > 3, text


def schemas():
    # It rewrites a schema into a form of its own.
    form = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}}
    assert client.chat_completion(ask, model=model("chat-hub") or None, response_format=form).choices


run([chat, chat_without_a_model, chat_streams, schemas])
