-- How far a job is: requests that have ended, and bytes of an answer.
local id, holder, done, bytes = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local known = redis.call('HMGET', job(id), 'state', 'holder', 'started_ms', 'progress')
if known[1] ~= 'running' or known[2] ~= holder then
  return 0
end
local before = tonumber(string.match(known[4] or '', '(%d+)$') or 0)
local time = math.max(now, tonumber(known[3]) + 1, before + 1)
redis.call('HSET', job(id), 'progress', done .. ' ' .. bytes .. ' ' .. whole(time))
changed(id)
return 1
