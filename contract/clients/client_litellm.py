"""LiteLLM, as it comes."""

import io
import os

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import litellm  # noqa: E402
from fixtures import BASE, CHANGE, KEYLESS, SAID, is_png, mask, model, picture, recording, run  # noqa: E402

litellm.telemetry = False
ask = [{"role": "user", "content": "one two three"}]


def name(of):
    # Its name for a model cannot be empty.
    return f"openai/{model(of) or 'dummy'}"


def at():
    return {"api_base": f"{BASE}/v1", "api_key": "any", "max_retries": 0}


def chat():
    answer = litellm.completion(model=name("chat-litellm"), messages=ask, **at())
    assert SAID in answer.choices[0].message.content


def chat_streams():
    chunks = list(litellm.completion(model=name("chat-litellm"), messages=ask, stream=True, **at()))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert SAID in text, text


def broken_streams():
    if KEYLESS:
        return
    try:
        list(litellm.completion(model="openai/fault/stream-cut-chat", messages=ask, stream=True, **at()))
    except Exception:  # noqa: BLE001: which one is LiteLLM's business.
        return
    raise AssertionError("a cut stream looked whole")


def embeddings():
    answer = litellm.embedding(model=name("embed-litellm"), input=["the tide", "is high"], **at())
    assert len(answer.data) == 2 and len(answer.data[0]["embedding"]) > 100


def images():
    import base64

    answer = litellm.image_generation(model=name("image-litellm"), prompt="a kite", size="64x64", **at())
    is_png(base64.b64decode(answer.data[0].b64_json), (64, 64))


def image_edits():
    import base64

    answer = litellm.image_edit(
        model=name("edit-litellm"), image=io.BytesIO(picture()), mask=io.BytesIO(mask()), prompt=CHANGE, **at()
    )
    is_png(base64.b64decode(answer.data[0].b64_json), (64, 64))


def transcriptions():
    answer = litellm.transcription(model=name("asr-litellm"), file=("a.wav", recording()), **at())
    assert isinstance(answer.text, str)


def speech():
    answer = litellm.speech(model=name("tts-litellm"), input="hello there", voice="alloy", **at())
    assert answer.content[:4] == b"RIFF"


run([chat, chat_streams, broken_streams, embeddings, images, image_edits, transcriptions, speech])
