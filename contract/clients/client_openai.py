"""The `openai` package, as it comes."""

import base64
import json

import openai
from fixtures import BASE, CHANGE, KEYLESS, SAID, is_png, mask, model, picture, recording, run

client = openai.OpenAI(base_url=f"{BASE}/v1", api_key="any", max_retries=0)
ask = [{"role": "user", "content": "one two three"}]


def models():
    listed = client.models.list().data
    assert len(listed) > 10
    name = next(entry.id for entry in listed if "/" in entry.id)
    assert client.models.retrieve(name).id == name
    try:
        client.models.retrieve("no/such")
        raise AssertionError("a model that is not there was found")
    except openai.NotFoundError as error:
        assert error.code == "model_not_found", error


def chat():
    answer = client.chat.completions.create(model=model("chat-py"), messages=ask, temperature=0)
    text = answer.choices[0].message.content
    assert SAID in text, text
    assert answer.usage.total_tokens > 0 and answer.choices[0].finish_reason == "stop"
    assert answer.object == "chat.completion" and answer.id.startswith("chatcmpl-")


def chat_streams():
    stream = client.chat.completions.create(
        model=model("chat-py"), messages=ask, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert SAID in text and len(chunks) > 4, text
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].choices == [] and chunks[-1].usage.total_tokens > 0
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"


def tools():
    if KEYLESS:
        return
    tools = [{"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}]
    answer = client.chat.completions.create(model="acme/chat-calls", messages=ask, tools=tools)
    call = answer.choices[0].message.tool_calls[0]
    assert call.function.name == "look_up" and json.loads(call.function.arguments)["asked"] == "one two three"
    # The client's own accumulation of the pieces.
    with client.chat.completions.stream(model="acme/chat-calls", messages=ask, tools=tools) as stream:
        final = stream.get_final_completion()
    call = final.choices[0].message.tool_calls[0]
    assert call.function.name == "look_up" and json.loads(call.function.arguments)["asked"] == "one two three"


def broken_streams():
    if KEYLESS:
        return
    for fault in ["stream-cut", "stream-error"]:
        seen = []
        try:
            for chunk in client.chat.completions.create(model=f"fault/{fault}-chat", messages=ask, stream=True):
                seen.append(chunk)
            raise AssertionError(f"{fault} looked whole")
        except openai.APIError as error:
            assert seen and error.message, error


def completions():
    assert SAID in client.completions.create(model=model("chat-py"), prompt="one two three").choices[0].text


def embeddings():
    # Without an encoding the client asks for base64 and decodes it.
    plain = client.embeddings.create(model=model("embed-py"), input=["the tide", "is high"])
    assert len(plain.data) == 2 and isinstance(plain.data[0].embedding[0], float)
    floats = client.embeddings.create(model=model("embed-py"), input="the tide", encoding_format="float")
    assert max(abs(a - b) for a, b in zip(plain.data[0].embedding, floats.data[0].embedding)) < 1e-6
    assert len(client.embeddings.create(model=model("embed-py"), input="x", dimensions=16).data[0].embedding) == 16
    try:
        client.embeddings.create(model=model("embed-py"), input=[[1, 2, 3]])
        raise AssertionError("token ids were taken")
    except openai.BadRequestError as error:
        assert error.param == "input", error


def images():
    answer = client.images.generate(model=model("image-py"), prompt="a kite", n=2, size="128x64")
    assert len(answer.data) == 2
    for data in answer.data:
        is_png(base64.b64decode(data.b64_json), (128, 64))
    answer = client.images.generate(model=model("image-py"), prompt="a kite", size="64x64", response_format="url")
    assert answer.data[0].url.startswith("data:image/png;base64,")


def image_edits():
    for image in [("t.png", picture()), [("t.png", picture())]]:
        answer = client.images.edit(model=model("edit-py"), image=image, mask=("m.png", mask()), prompt=CHANGE)
        is_png(base64.b64decode(answer.data[0].b64_json), (64, 64))


def speech():
    said = client.audio.speech.create(model=model("tts-py"), voice="alloy", input="hello there")
    assert said.content[:4] == b"RIFF" and said.response.headers["content-type"] == "audio/wav"
    said = client.audio.speech.create(model=model("tts-py"), voice="alloy", input="hello there", response_format="flac")
    assert said.content[:4] == b"fLaC"
    with client.audio.speech.with_streaming_response.create(
        model=model("tts-py"), voice="alloy", input="hello there", response_format="pcm"
    ) as said:
        assert len(b"".join(said.iter_bytes())) % 2 == 0


def transcriptions():
    file = ("a.wav", recording())
    assert isinstance(client.audio.transcriptions.create(model=model("asr-py"), file=file).text, str)
    long = client.audio.transcriptions.create(
        model=model("asr-py"), file=file, response_format="verbose_json", timestamp_granularities=["word", "segment"]
    )
    assert isinstance(long.duration, float) and long.segments is not None
    for form in ["text", "srt", "vtt"]:
        assert isinstance(client.audio.transcriptions.create(model=model("asr-py"), file=file, response_format=form), str)


def errors():
    for body, kind in [({"messages": []}, openai.BadRequestError), ({"messages": ask, "temperature": 9}, openai.BadRequestError)]:
        try:
            client.chat.completions.create(model=model("chat-py"), **body)
            raise AssertionError(f"{body} was taken")
        except kind as error:
            assert error.type == "invalid_request_error" and error.request_id, error
    try:
        client.chat.completions.create(model="gpt-0", messages=ask)
        raise AssertionError("somebody answers for gpt-0")
    except openai.NotFoundError as error:
        assert error.code == "model_not_found" and error.param == "model", error
    if not KEYLESS:
        once = client.with_options(default_headers={"x-fallback": "off", "x-retries": "0"})
        try:
            once.chat.completions.create(model="fault/ratelimit-7-chat-py", messages=ask)
            raise AssertionError("the limit was lost")
        except openai.RateLimitError as error:
            assert error.response.headers["retry-after"] == "7", error


run([models, chat, chat_streams, tools, broken_streams, completions, embeddings, images, image_edits, speech,
     transcriptions, errors])
