-- Ended jobs whose receivers are to be told now. For a while it is up to who asks; then anybody is asked again.
local ids = redis.call('ZRANGEBYSCORE', at .. 'untold', '-inf', whole(now), 'LIMIT', 0, 16)
for _, id in ipairs(ids) do
  redis.call('ZADD', at .. 'untold', whole(now + tonumber(ARGV[1])), id)
end
return ids
