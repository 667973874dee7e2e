-- A host has been given a job's turn and begins, as long as there is anything to do. The fields it wants to know follow.
local entry, id, host, attempts_allowed = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local known = redis.call('HMGET', job(id), 'state', 'created_ms', 'started_ms', 'attempts', 'caller', 'entry')
if not known[1] or has_ended(known[1]) or known[6] ~= entry then
  redis.call('XACK', stream, group, entry)
  redis.call('XDEL', stream, entry)
  return { 'over', '', {} }
end
local attempts = tonumber(known[4] or 0)
local word = 'begun'
if attempts >= attempts_allowed then
  word = 'tired'
else
  attempts = attempts + 1
end
-- Another one at each beginning: who began before has lost it.
local holder = host .. ':' .. redis.call('HINCRBY', job(id), 'holders', 1)
local started = math.max(now, tonumber(known[2]) + 1, tonumber(known[3] or 0) + 1)
redis.call('HDEL', job(id), 'progress')
redis.call('HSET', job(id), 'state', 'running', 'holder', holder, 'attempts', attempts, 'started_ms', whole(started))
redis.call('ZREM', at .. 'queued', id)
changed(id)
return { word, holder, redis.call('HMGET', job(id), unpack(ARGV, 5)) }
