-- Moves a job to another state if it is in one that allows it.
-- KEYS: status, done, outstanding, flight   ARGV: seconds to live, state, when, allowed from...
local state = redis.call('HGET', KEYS[1], 'state')
local allowed = false
for i = 4, #ARGV do
  allowed = allowed or ARGV[i] == state
end
if not allowed then
  return 0
end
redis.call('EXPIRE', KEYS[1], ARGV[1]) -- first: see planned.lua
redis.call('EXPIRE', KEYS[2], ARGV[1])
redis.call('DEL', KEYS[3], KEYS[4])
redis.call('HSET', KEYS[1], 'state', ARGV[2], 'ended_at', ARGV[3])
return 1
