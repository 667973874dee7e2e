-- Who works on a job says so: 1. It is somebody else's or over: 0. Nobody knows of it, after Redis was emptied: 2.
local entry, id, host, holder = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local known = redis.call('HMGET', job(id), 'state', 'holder')
if not known[1] then
  return 2
end
if known[1] ~= 'running' or known[2] ~= holder then
  return 0
end
redis.pcall('XCLAIM', stream, group, host, 0, entry, 'JUSTID')
return 1
