// The `openai` package for Node, as it comes.
import OpenAI, {toFile} from 'openai'
import {assert, base, change, isPng, keyless, mask, model, picture, recording, run, said} from './fixtures.mjs'

const client = new OpenAI({baseURL: `${base}/v1`, apiKey: 'any', maxRetries: 0})
const messages = [{role: 'user', content: 'one two three'}]

await run({
  async models() {
    const listed = (await client.models.list()).data
    const name = listed.map(entry => entry.id).find(id => id.includes('/'))
    assert((await client.models.retrieve(name)).id === name, name)
  },
  async chat() {
    const answer = await client.chat.completions.create({model: model('chat-js'), messages})
    assert(answer.choices[0].message.content.includes(said), answer)
    assert(answer.usage.total_tokens > 0, answer)
  },
  async chatStreams() {
    const stream = await client.chat.completions.create({
      model: model('chat-js'), messages, stream: true, stream_options: {include_usage: true},
    })
    let text = ''
    let last
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta?.content ?? ''
      last = chunk
    }
    assert(text.includes(said) && last.usage.total_tokens > 0, text)
  },
  async tools() {
    if (keyless) return
    const tools = [{type: 'function', function: {name: 'look_up', parameters: {type: 'object'}}}]
    const final = await client.chat.completions.stream({model: 'acme/chat-calls', messages, tools}).finalChatCompletion()
    const call = final.choices[0].message.tool_calls[0]
    assert(call.function.name === 'look_up' && JSON.parse(call.function.arguments).asked === 'one two three', final)
  },
  async brokenStreams() {
    if (keyless) return
    for (const fault of ['stream-cut', 'stream-error']) {
      let seen = 0
      try {
        const stream = await client.chat.completions.create({model: `fault/${fault}-chat`, messages, stream: true})
        for await (const _ of stream) seen++
        throw new Error(`${fault} looked whole`)
      } catch (error) {
        assert(error instanceof OpenAI.APIError && seen > 0, `${fault}: ${error}`)
      }
    }
  },
  async embeddings() {
    const answer = await client.embeddings.create({model: model('embed-js'), input: ['the tide', 'is high']})
    assert(answer.data.length === 2 && answer.data[0].embedding.length > 100, answer.data.length)
    assert(Math.abs(Math.hypot(...answer.data[0].embedding) - 1) < 0.01, 'no unit vector')
  },
  async images() {
    const answer = await client.images.generate({model: model('image-js'), prompt: 'a kite', size: '128x64', n: 2})
    assert(answer.data.length === 2, answer.data.length)
    isPng(Buffer.from(answer.data[1].b64_json, 'base64'), 128, 64)
  },
  async imageEdits() {
    // It sends the form in chunks and calls every file an octet stream.
    for (const list of [false, true]) {
      const image = await toFile(picture(), 't.png')
      const answer = await client.images.edit({
        model: model('edit-js'), prompt: change, image: list ? [image] : image, mask: await toFile(mask(), 'm.png'),
      })
      isPng(Buffer.from(answer.data[0].b64_json, 'base64'), 64, 64)
    }
  },
  async speech() {
    const answer = await client.audio.speech.create({model: model('tts-js'), voice: 'alloy', input: 'hello there'})
    assert(answer.headers.get('content-type') === 'audio/wav', answer.headers.get('content-type'))
    assert(Buffer.from(await answer.arrayBuffer()).subarray(0, 4).toString() === 'RIFF', 'no WAV')
  },
  async transcriptions() {
    for (const response_format of ['json', 'verbose_json', 'srt']) {
      const file = await toFile(recording(), 'a.wav')
      const answer = await client.audio.transcriptions.create({model: model('asr-js'), file, response_format})
      assert(typeof (answer.text ?? answer) === 'string', answer)
    }
  },
  async errors() {
    try {
      await client.chat.completions.create({model: 'gpt-0', messages})
      throw new Error('somebody answers for gpt-0')
    } catch (error) {
      assert(error instanceof OpenAI.NotFoundError && error.code === 'model_not_found', `${error}`)
    }
    try {
      await client.embeddings.create({model: model('embed-js'), input: [[1, 2, 3]]})
      throw new Error('token ids were taken')
    } catch (error) {
      assert(error instanceof OpenAI.BadRequestError && error.param === 'input', `${error}`)
    }
  },
})
