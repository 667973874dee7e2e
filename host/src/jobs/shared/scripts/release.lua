-- Who held a job, or was only given its turn, does not go on: it has its turn again, before its caller's others.
local id, holder, entry, ahead = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local known = redis.call('HMGET', job(id), 'state', 'holder', 'entry', 'caller')
local held = known[1] == 'running' and known[2] == holder
local given = known[1] == 'queued' and holder == '' and known[3] == entry
if not held and not given then
  return 0
end
leave(id, known[4], known[3])
redis.call('HSET', job(id), 'state', 'queued')
redis.call('HDEL', job(id), 'holder', 'entry', 'progress')
wait(id, known[4], 'LPUSH')
changed(id)
deal(ahead)
return 1
