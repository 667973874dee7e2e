-- Removes what ended long enough ago, tells what has waited for as long, and forgets hosts that are gone.
local before = whole(now - tonumber(ARGV[1]))
for _, id in ipairs(redis.call('ZRANGEBYSCORE', at .. 'ended', '-inf', before, 'LIMIT', 0, 100)) do
  remove(id)
end
local consumers = redis.pcall('XINFO', 'CONSUMERS', stream, group)
for _, consumer in ipairs(consumers) do
  -- name, NAME, pending, COUNT, idle, MS
  if consumer[4] == 0 and consumer[6] > 3600000 then
    redis.call('XGROUP', 'DELCONSUMER', stream, group, consumer[2])
  end
end
return redis.call('ZRANGEBYSCORE', at .. 'queued', '-inf', before, 'LIMIT', 0, 100)
