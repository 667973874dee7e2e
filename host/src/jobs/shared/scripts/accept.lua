-- Takes a job whose request lies there already, unless it is known by its key or there is no room for it.
local id, record, caller, key, print, bytes = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], tonumber(ARGV[6])
local queued, queued_each, kept, stored = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10])
local life, ahead = ARGV[11], tonumber(ARGV[12])

local function not_taken(why, other)
  redis.call('DEL', job(id) .. ':request')
  return { why, other or '' }
end

if key ~= '' then
  local known = redis.call('HMGET', at .. 'key:' .. key, 'print', 'id')
  if known[2] and redis.call('EXISTS', job(known[2])) == 1 then
    if known[1] == print then
      return not_taken('same', known[2])
    end
    return not_taken('other')
  end
end
if redis.call('LLEN', at .. 'waiting:' .. caller) >= queued_each then
  return not_taken('yours')
end
if redis.call('ZCARD', at .. 'queued') >= queued or redis.call('HLEN', at .. 'sizes') >= kept then
  return not_taken('full')
end
if tonumber(redis.call('GET', at .. 'bytes') or 0) + bytes > stored then
  return not_taken('full')
end
if redis.call('EXISTS', job(id) .. ':request') == 0 then
  return not_taken('full')
end
redis.call('HSET', job(id), 'record', record, 'state', 'queued', 'caller', caller, 'created_ms', whole(now))
redis.call('PEXPIRE', job(id), life)
if key ~= '' then
  redis.call('HSET', job(id), 'key', key)
  redis.call('HSET', at .. 'key:' .. key, 'print', print, 'id', id)
  redis.call('PEXPIRE', at .. 'key:' .. key, life)
end
resize(id, bytes)
wait(id, caller, 'RPUSH')
deal(ahead)
return { 'new', id }
