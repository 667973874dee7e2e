-- A receiver was told, or is to be told again after a while.
local id, done, wait_ms = ARGV[1], ARGV[2], tonumber(ARGV[3])
if redis.call('EXISTS', job(id)) == 1 then
  redis.call('HINCRBY', job(id), 'told_attempts', 1)
  redis.call('HSET', job(id), 'told', done)
end
if done == '1' then
  redis.call('ZREM', at .. 'untold', id)
else
  redis.call('ZADD', at .. 'untold', whole(now + wait_ms), id)
end
return 1
