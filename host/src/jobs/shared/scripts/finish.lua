-- Ends a job, once: for who holds it, or (without a holder) for anybody who wants it ended, if it is in the state meant.
local id, holder, meant, state, answered, bytes = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], tonumber(ARGV[6])
local keep, life, ahead, tell_in, record = ARGV[7], ARGV[8], tonumber(ARGV[9]), ARGV[10], ARGV[11]
-- Where the answer was put beforehand; it is the job's when this end is.
local put = job(id) .. ':answer:' .. holder

local function not_ended(why)
  redis.call('DEL', put)
  return why
end

local known = redis.call('HMGET', job(id), 'state', 'holder', 'entry', 'caller', 'created_ms', 'started_ms', 'progress')
if not known[1] then
  if holder == '' then
    return not_ended('gone')
  end
  -- Redis came back without it: whoever did the work still knows what was asked.
  redis.call('HSET', job(id), 'record', record, 'created_ms', whole(now))
elseif has_ended(known[1]) then
  return not_ended('ended')
elseif holder ~= '' and holder ~= known[2] then
  return not_ended('lost')
elseif meant ~= '' and meant ~= known[1] then
  return not_ended('lost')
end
local last = string.match(known[7] or '', '(%d+)$') or known[6] or known[5] or 0
local ended = math.max(now, tonumber(last) + 1)
redis.call('HSET', job(id), 'state', state, 'ended_ms', whole(ended), 'answered', answered)
redis.call('HDEL', job(id), 'holder')
leave(id, known[4], known[3])
redis.call('DEL', job(id) .. ':request')
if answered ~= '' then
  redis.call('RENAME', put, job(id) .. ':answer')
  redis.call('PEXPIRE', job(id) .. ':answer', keep)
end
resize(id, bytes)
redis.call('ZADD', at .. 'ended', whole(ended), id)
redis.call('PEXPIRE', job(id), keep)
local key = redis.call('HGET', job(id), 'key')
if key then
  redis.call('PEXPIRE', at .. 'key:' .. key, keep)
end
if tell_in ~= '' then
  redis.call('ZADD', at .. 'untold', whole(now + tonumber(tell_in)), id)
end
changed(id)
deal(ahead)
return 'done'
