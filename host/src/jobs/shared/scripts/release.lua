-- Who held a job does not go on with it: it has its turn again, before its caller's others.
local id, holder, ahead = ARGV[1], ARGV[2], tonumber(ARGV[3])
local known = redis.call('HMGET', job(id), 'state', 'holder', 'entry', 'caller')
if known[1] ~= 'running' or known[2] ~= holder then
  return 0
end
leave(id, known[4], known[3])
redis.call('HSET', job(id), 'state', 'queued')
redis.call('HDEL', job(id), 'holder', 'entry', 'progress')
wait(id, known[4], 'LPUSH')
changed(id)
deal(ahead)
return 1
