// The page behind /docs: reads openapi.json, shows what it says, and lets a person try it.
'use strict'

const LONG = 400

// Elements are built, never parsed: nothing that comes from a server becomes markup.
const make = (tag, attributes = {}, ...children) => {
  const element = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value)
    else element.setAttribute(name, value === true ? '' : value)
  }
  element.append(...children.filter(child => child !== undefined))
  return element
}

// `code` in a description.
const prose = text => (text ?? '').split('`').map((part, index) => (index % 2 ? make('code', {}, part) : part))

// A value with its `$ref` followed; what stands beside the reference wins.
const follow = (doc, value) => {
  if (!value?.$ref) return value ?? {}
  const target = value.$ref.slice(2).split('/').reduce((place, name) => place[name], doc)
  const {$ref, ...own} = value
  return {...follow(doc, target), ...own}
}

const limits = schema => {
  const told = [schema.contentMediaType ? 'file' : [schema.type ?? ''].flat().join(' or ')]
  const range = (low, high, unit) => {
    if (low === undefined && high === undefined) return
    told.push(low === undefined ? `at most ${high}${unit}` : high === undefined ? `at least ${low}${unit}` : `${low} to ${high}${unit}`)
  }
  range(schema.minLength, schema.maxLength, ' characters')
  range(schema.minimum, schema.maximum === Number.MAX_SAFE_INTEGER ? undefined : schema.maximum, '')
  range(schema.minItems, schema.maxItems, ' items')
  if (schema.multipleOf) told.push(`multiple of ${schema.multipleOf}`)
  if (schema.enum) told.push(schema.enum.join(', '))
  if (schema['x-max-bytes']) told.push(`at most ${Math.floor(schema['x-max-bytes'] / 1048576)} MiB`)
  if (schema['x-max-characters']) told.push(`${schema['x-max-characters']} characters in all`)
  if (schema.default !== undefined) told.push(`default ${schema.default}`)
  return told.filter(Boolean).join(', ')
}

const table = (caption, rows) =>
  make('div', {class: 'scroll', tabindex: '0', role: 'region', 'aria-label': caption},
    make('table', {},
      make('thead', {}, make('tr', {}, ...['Name', 'Kind', 'Meaning'].map(name => make('th', {scope: 'col'}, name)))),
      make('tbody', {}, ...rows.map(row =>
        make('tr', {},
          make('td', {}, make('code', {}, row.name), row.required ? make('span', {class: 'required'}, 'required') : ''),
          make('td', {}, limits(row.schema)),
          make('td', {}, make('p', {}, ...prose(row.text))))))))

const fieldsOf = (doc, schema) =>
  Object.entries(schema.properties ?? {}).map(([name, value]) => {
    const field = follow(doc, value)
    return {name, schema: field, text: field.description, required: schema.required?.includes(name)}
  })

const pretty = value =>
  JSON.stringify(value, null, 2)
    // Vectors on one line.
    .replace(/\[\s+(-?[\d.e+-]+(?:,\s+-?[\d.e+-]+)*)\s+\]/g, (_, numbers) => `[${numbers.replace(/\s+/g, ' ')}]`)

// Bytes inside JSON are nothing to read.
const brief = value => JSON.parse(JSON.stringify(value, (_, inner) =>
  typeof inner === 'string' && inner.length > 4 * LONG && !/\s/.test(inner) ? `<${inner.length.toLocaleString('en')} characters>` : inner))

const show = async (response, started, place) => {
  const kind = response.headers.get('content-type') ?? ''
  const seconds = () => `${((performance.now() - started) / 1000).toFixed(2)} s`
  const status = make('p', {class: `status ${response.ok ? 'good' : 'bad'}`}, `${response.status} ${response.statusText}`)
  const headers = make('details', {},
    make('summary', {}, 'Headers'),
    make('pre', {tabindex: '0'}, [...response.headers].map(([name, value]) => `${name}: ${value}`).join('\n')))
  const body = make('div', {})
  place.replaceChildren(status, body, headers)

  if (kind.startsWith('text/event-stream')) {
    const text = make('pre', {tabindex: '0'})
    body.append(text)
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
    for (let rest = '', read = await reader.read(); !read.done; read = await reader.read()) {
      const events = (rest + read.value).split('\n\n')
      rest = events.pop()
      for (const event of events) {
        // What begins with a colon only keeps the line alive.
        const said = event.split('\n').find(line => line.startsWith('data: '))?.slice(6)
        if (said === undefined) continue
        if (said === '[DONE]') { text.append(`\n${said}`); continue }
        const data = JSON.parse(said)
        text.append(data.response ?? data.choices?.[0]?.delta?.content ?? `\n${pretty(brief(data))}`)
      }
    }
  } else if (kind.startsWith('image/') || kind.startsWith('audio/')) {
    const blob = await response.blob()
    const url = URL.createObjectURL(blob)
    body.append(kind.startsWith('image/')
      ? make('img', {src: url, alt: 'The picture that was made'})
      : make('audio', {src: url, controls: true, 'aria-label': 'The speech that was made'}))
    body.append(make('p', {class: 'quiet'}, `${kind}, ${blob.size.toLocaleString()} bytes. `,
      make('a', {href: url, download: kind.startsWith('image/') ? 'picture.png' : 'speech.wav'}, 'Save')))
  } else {
    const text = await response.text()
    let told = text
    try {
      const data = JSON.parse(text)
      for (const picture of Array.isArray(data.data) ? data.data : []) {
        const src = picture.url ?? (picture.b64_json && `data:image/png;base64,${picture.b64_json}`)
        if (src) body.append(make('img', {src, alt: 'The picture that was made'}))
      }
      told = pretty(brief(data))
    } catch { /* It is shown as it came. */ }
    body.append(make('pre', {tabindex: '0'}, told))
  }
  status.append(` in ${seconds()}`)
}

// Sends what `request` builds, and shows what comes back or why nothing did.
const trial = (path, method, request) => {
  const place = make('div', {class: 'answer', 'aria-live': 'polite', hidden: true})
  let running
  const stop = make('button', {type: 'button', class: 'second', hidden: true, onclick: () => running?.abort()}, 'Stop')
  const send = make('button', {type: 'submit'}, 'Send')
  const submit = async event => {
    event.preventDefault()
    running = new AbortController()
    send.disabled = true
    stop.hidden = place.hidden = false
    place.replaceChildren(make('p', {class: 'quiet'}, 'Waiting for the answer…'))
    const started = performance.now()
    try {
      const {at = path, ...options} = request()
      await show(await fetch(at.slice(1), {method, signal: running.signal, ...options}), started, place)
    } catch (error) {
      const told = error.name === 'AbortError' ? 'Stopped.' : `No answer: ${error.message}`
      place.append(make('p', {class: 'status bad'}, told))
    }
    send.disabled = false
    stop.hidden = true
  }
  return {submit, buttons: [send, stop], place}
}

const readBase64 = file => new Promise((resolve, reject) => {
  const reader = new FileReader()
  reader.onload = () => resolve(reader.result)
  reader.onerror = () => reject(reader.error)
  reader.readAsDataURL(file)
})

const jsonForm = (doc, path, schema, id) => {
  const example = schema.examples?.[0] ?? {}
  // A long value is kept aside, so that the text stays one that a person can edit.
  const aside = new Map()
  const shorten = value => {
    if (typeof value !== 'string' || value.length < LONG) return value
    const name = `<${value.length.toLocaleString('en')} characters, ${aside.size + 1}>`
    aside.set(name, value)
    return name
  }
  const text = make('textarea', {id: `${id}-body`, spellcheck: 'false'})
  text.value = JSON.stringify(example, (_, value) => shorten(value), 2)
  text.rows = Math.min(text.value.split('\n').length + 1, 24)
  const expand = () => {
    const body = JSON.parse(text.value, (_, value) => aside.get(value) ?? value)
    return JSON.stringify(body)
  }
  const {submit, buttons, place} = trial(path, 'POST', () => {
    let body = text.value
    try { body = expand() } catch { /* What is not JSON is sent as it is: the answer says what is wrong. */ }
    return {headers: {'content-type': 'application/json'}, body}
  })
  const pictures = Object.entries(schema.properties ?? {})
    .filter(([, value]) => follow(doc, value).contentEncoding === 'base64')
    .flatMap(([name]) => {
      const choose = async event => {
        const [file] = event.target.files
        if (!file) return
        const body = JSON.parse(text.value)
        body[name] = await readBase64(file)
        text.value = JSON.stringify(body, (_, value) => shorten(value), 2)
      }
      return [
        make('label', {for: `${id}-${name}`}, 'Put a file into ', make('code', {}, name)),
        make('input', {id: `${id}-${name}`, type: 'file', accept: 'image/*', onchange: choose}),
      ]
    })
  return make('form', {onsubmit: submit}, ...pictures,
    make('label', {for: `${id}-body`}, 'Body (JSON)'), text, ...buttons, place)
}

const fileForm = (doc, path, schema, id) => {
  const inputs = fieldsOf(doc, schema).map(field => {
    const file = field.schema.contentMediaType !== undefined
    const input = make('input', {
      id: `${id}-${field.name}`, name: field.name, type: file ? 'file' : 'text', required: file && field.required,
      accept: file ? (path.includes('image') ? 'image/*' : 'audio/*,video/webm,video/mp4') : undefined, placeholder: field.required ? undefined : 'optional',
    })
    return {field, file, input}
  })
  const {submit, buttons, place} = trial(path, 'POST', () => {
    const body = new FormData()
    for (const {field, file, input} of inputs) {
      const value = file ? input.files[0] : input.value
      if (value) body.append(field.name, value)
    }
    return {body}
  })
  return make('form', {onsubmit: submit},
    ...inputs.flatMap(({field, input}) => [make('label', {for: input.id}, make('code', {}, field.name)), input]),
    ...buttons, place)
}

const endpoint = (doc, path, method, operation) => {
  const id = operation.operationId
  const contents = operation.requestBody?.content ?? {}
  const kind = contents['application/json'] ? 'application/json' : Object.keys(contents)[0]
  const schema = kind && follow(doc, contents[kind].schema)
  const parameters = (operation.parameters ?? []).map(value => {
    const parameter = follow(doc, value)
    return {name: parameter.name, schema: follow(doc, parameter.schema), text: parameter.description}
  })
  const answers = Object.entries(operation.responses).map(([status, value]) => {
    const answer = follow(doc, value)
    return make('tr', {}, make('td', {}, status), make('td', {}, Object.keys(answer.content ?? {}).join(', ')),
      make('td', {}, ...prose(answer.description)))
  })
  const plain = () => {
    const names = (operation.parameters ?? []).map(value => follow(doc, value)).filter(value => value.in === 'path')
    const inputs = names.map(({name, example}) => make('input', {id: `${id}-${name}`, name, type: 'text', required: true, value: example}))
    const {submit, buttons, place} = trial(path, 'GET', () => ({
      at: inputs.reduce((at, input) => at.replace(`{${input.name}}`, encodeURIComponent(input.value)), path),
    }))
    return make('form', {onsubmit: submit},
      ...inputs.flatMap(input => [make('label', {for: input.id}, make('code', {}, input.name)), input]), ...buttons, place)
  }
  return make('section', {class: 'endpoint', id, 'aria-labelledby': `${id}-title`},
    make('h2', {id: `${id}-title`}, make('span', {class: 'method'}, method.toUpperCase()),
      make('span', {class: 'path'}, path), make('span', {class: 'summary'}, operation.summary)),
    make('p', {}, ...prose(operation.description)),
    schema && make('h3', {}, 'Fields ', make('span', {class: 'quiet'}, Object.keys(contents).join(' or '))),
    schema && table(`Fields of ${path}`, fieldsOf(doc, schema)),
    parameters.length > 0 ? make('details', {}, make('summary', {}, 'Headers, path and query'), table(`Headers of ${path}`, parameters)) : undefined,
    make('details', {}, make('summary', {}, 'Answers'),
      make('div', {class: 'scroll', tabindex: '0', role: 'region', 'aria-label': `Answers of ${path}`},
        make('table', {}, make('tbody', {}, ...answers)))),
    make('h3', {}, 'Try it'),
    !schema ? plain() : kind === 'application/json' ? jsonForm(doc, path, schema, id) : fileForm(doc, path, schema, id))
}

const start = async () => {
  const main = document.getElementById('endpoints')
  try {
    const doc = await (await fetch('openapi.json')).json()
    document.getElementById('about').textContent = doc.info.description
    document.getElementById('version').textContent = `version ${doc.info.version}`
    const sections = Object.entries(doc.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => ({path, method, operation})))
    document.getElementById('contents').replaceChildren(...sections.map(({path, operation}) =>
      make('li', {}, make('a', {href: `#${operation.operationId}`}, path))))
    main.replaceChildren(...sections.map(({path, method, operation}) => endpoint(doc, path, method, operation)))
  } catch (error) {
    document.getElementById('loading').textContent = `The description could not be read: ${error.message}`
  }
}

start()
