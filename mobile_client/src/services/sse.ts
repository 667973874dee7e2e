/** One event of a `text/event-stream`. */
export type ServerEvent = {event: string; data: string; id: string | null};

/**
 * Reads events from bytes that may be cut anywhere, also inside a letter or between CR and LF.
 */
export class SseParser {
  private decoder = new TextDecoder('utf-8');
  private line = '';
  private afterCr = false;
  private first = true;
  private event = '';
  private data: string[] = [];
  private id: string | null = null;

  push(bytes: Uint8Array): ServerEvent[] {
    return this.read(this.decoder.decode(bytes, {stream: true}));
  }

  /** A frame without its empty line at the end is not an event; that is the standard's rule. */
  end(): ServerEvent[] {
    return this.read(this.decoder.decode());
  }

  private read(text: string): ServerEvent[] {
    const events: ServerEvent[] = [];
    for (const char of text) {
      if (this.first) {
        this.first = false;
        if (char === '\ufeff') continue;
      }
      if (char === '\n' && this.afterCr) {
        this.afterCr = false;
        continue;
      }
      this.afterCr = char === '\r';
      if (char === '\n' || char === '\r') {
        const done = this.takeLine(this.line);
        this.line = '';
        if (done !== null) events.push(done);
      } else {
        this.line += char;
      }
    }
    return events;
  }

  private takeLine(line: string): ServerEvent | null {
    if (line === '') {
      const event = {event: this.event || 'message', data: this.data.join('\n'), id: this.id};
      const empty = this.data.length === 0;
      this.event = '';
      this.data = [];
      return empty ? null : event;
    }
    // A line that starts with a colon is a comment: servers send it to keep connections open.
    if (line.startsWith(':')) return null;
    const colon = line.indexOf(':');
    const field = colon < 0 ? line : line.slice(0, colon);
    let value = colon < 0 ? '' : line.slice(colon + 1);
    if (value.startsWith(' ')) value = value.slice(1);
    if (field === 'event') this.event = value;
    else if (field === 'data') this.data.push(value);
    else if (field === 'id' && !value.includes('\0')) this.id = value;
    return null;
  }
}
