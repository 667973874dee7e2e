-- What all scripts begin with. Whatever hosts do to a job they do in one of these, so nobody sees half of it.
--
--   turn            stream of the jobs whose turn has come; the group `hosts` works on it
--   waiting:CALLER  list of a caller's jobs that wait, and `turns` the callers that have one
--   job:ID          hash: `record` as it was accepted, and what has become of it since
--   job:ID:request, job:ID:answer
--   key:KEY         what an Idempotency-Key stands for, and its job
--   queued, ended   sorted by time: jobs that wait, jobs that have ended
--   untold          ended jobs whose receiver is to be told, by when
--   sizes, bytes    what each job takes up, and all together
local at = KEYS[1]
local stream, group = at .. 'turn', 'hosts'
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local function job(id)
  return at .. 'job:' .. id
end

local function has_ended(state)
  return state == 'succeeded' or state == 'failed' or state == 'cancelled'
end

local function whole(number)
  return string.format('%.0f', number)
end

local function changed(id)
  redis.call('PUBLISH', at .. 'changed', id)
end

-- Gives jobs their turn, one caller after the other, until so many wait to be taken.
local function deal(ahead)
  redis.pcall('XGROUP', 'CREATE', stream, group, '0', 'MKSTREAM')
  local dealt = redis.call('XLEN', stream) - redis.call('XPENDING', stream, group)[1]
  while dealt < ahead do
    local caller = redis.call('LPOP', at .. 'turns')
    if not caller then
      return
    end
    local waiting = at .. 'waiting:' .. caller
    local id = redis.call('LPOP', waiting)
    if redis.call('LLEN', waiting) > 0 then
      redis.call('RPUSH', at .. 'turns', caller)
    end
    if id and redis.call('HGET', job(id), 'state') == 'queued' then
      local entry = redis.call('XADD', stream, '*', 'id', id)
      redis.call('HSET', job(id), 'entry', entry)
      dealt = dealt + 1
    end
  end
end

local function wait(id, caller, push)
  local waiting = at .. 'waiting:' .. caller
  if redis.call(push, waiting, id) == 1 then
    redis.call('RPUSH', at .. 'turns', caller)
  end
  redis.call('ZADD', at .. 'queued', whole(now), id)
end

-- It has no turn any more, and waits for none.
local function leave(id, caller, entry)
  if entry then
    redis.call('XACK', stream, group, entry)
    redis.call('XDEL', stream, entry)
  end
  if redis.call('ZREM', at .. 'queued', id) == 1 and caller then
    local waiting = at .. 'waiting:' .. caller
    redis.call('LREM', waiting, 0, id)
    if redis.call('LLEN', waiting) == 0 then
      redis.call('LREM', at .. 'turns', 0, caller)
    end
  end
end

local function resize(id, bytes)
  local before = tonumber(redis.call('HGET', at .. 'sizes', id) or 0)
  redis.call('INCRBY', at .. 'bytes', whole(bytes - before))
  if bytes > 0 then
    redis.call('HSET', at .. 'sizes', id, whole(bytes))
  else
    redis.call('HDEL', at .. 'sizes', id)
  end
end

-- As if it had never been.
local function remove(id)
  local known = redis.call('HMGET', job(id), 'caller', 'entry', 'key')
  leave(id, known[1], known[2])
  if known[3] then
    local meant = redis.call('HGET', at .. 'key:' .. known[3], 'id')
    if meant == id then
      redis.call('DEL', at .. 'key:' .. known[3])
    end
  end
  redis.call('ZREM', at .. 'ended', id)
  redis.call('ZREM', at .. 'untold', id)
  redis.call('DEL', job(id), job(id) .. ':request', job(id) .. ':answer')
  resize(id, 0)
end
