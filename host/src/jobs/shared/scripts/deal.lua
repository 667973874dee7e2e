-- Gives jobs their turn, and counts: those that wait, those at work, all that are kept, and what they take up.
deal(tonumber(ARGV[1]))
return {
  redis.call('ZCARD', at .. 'queued'),
  redis.call('XPENDING', stream, group)[1],
  redis.call('HLEN', at .. 'sizes'),
  tonumber(redis.call('GET', at .. 'bytes') or 0),
}
