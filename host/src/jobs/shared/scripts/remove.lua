-- A job that nobody was told of, unless it has ended.
if not has_ended(redis.call('HGET', job(ARGV[1]), 'state')) then
  remove(ARGV[1])
end
return 1
