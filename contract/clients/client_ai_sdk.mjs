// Vercel's AI SDK, as it comes.
import {createOpenAICompatible} from '@ai-sdk/openai-compatible'
import {embedMany, generateImage, generateText, jsonSchema, streamText, tool} from 'ai'
import {assert, base, isPng, keyless, model, run, said} from './fixtures.mjs'

const provider = createOpenAICompatible({name: 'hybrid', baseURL: `${base}/v1`, apiKey: 'any', includeUsage: true})
const prompt = 'one two three'

await run({
  async text() {
    const {text, usage} = await generateText({model: provider(model('chat-ai')), prompt, maxRetries: 0})
    assert(text.includes(said) && usage.totalTokens > 0, text)
  },
  async textStreams() {
    const {textStream, finishReason, usage} = streamText({model: provider(model('chat-ai')), prompt, maxRetries: 0})
    let text = ''
    for await (const piece of textStream) text += piece
    assert(text.includes(said) && (await finishReason) === 'stop' && (await usage).totalTokens > 0, text)
  },
  async tools() {
    if (keyless) return
    const tools = {look_up: tool({inputSchema: jsonSchema({type: 'object', properties: {asked: {type: 'string'}}})})}
    const {toolCalls} = await generateText({model: provider('acme/chat-calls'), prompt, tools, maxRetries: 0})
    assert(toolCalls[0].toolName === 'look_up' && toolCalls[0].input.asked === prompt, toolCalls)
    const stream = streamText({model: provider('acme/chat-calls'), prompt, tools, maxRetries: 0})
    const calls = await stream.toolCalls
    assert(calls[0].toolName === 'look_up' && calls[0].input.asked === prompt, calls)
  },
  async brokenStreams() {
    if (keyless) return
    let told
    const {fullStream} = streamText({
      model: provider('fault/stream-cut-chat'), prompt, maxRetries: 0, onError: ({error}) => { told = error },
    })
    const kinds = []
    for await (const part of fullStream) kinds.push(part.type)
    assert(told && kinds.includes('error'), kinds)
  },
  async embeddings() {
    const {embeddings} = await embedMany({model: provider.embeddingModel(model('embed-ai')), values: ['the tide', 'is high']})
    assert(embeddings.length === 2 && embeddings[0].length > 100, embeddings.length)
  },
  async images() {
    const {images} = await generateImage({model: provider.imageModel(model('image-ai')), prompt: 'a kite', size: '128x64', n: 2})
    assert(images.length === 2, images.length)
    isPng(Buffer.from(images[0].uint8Array), 128, 64)
  },
})
