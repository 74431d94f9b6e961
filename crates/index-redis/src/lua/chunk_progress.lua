-- Notes how far an unfinished chunk is, and that it is still being worked on.
-- KEYS: status, done, outstanding, flight   ARGV: seconds to live, chunk, tally
if redis.call('EXISTS', KEYS[1]) == 0 or redis.call('GETBIT', KEYS[2], ARGV[2]) == 1 then
  return 0
end
local time = redis.call('TIME')
redis.call('EXPIRE', KEYS[1], ARGV[1]) -- first: see planned.lua
redis.call('ZADD', KEYS[3], time[1] * 1000000 + time[2], ARGV[2])
redis.call('HSET', KEYS[4], ARGV[2], ARGV[3])
for i = 2, 4 do
  redis.call('EXPIRE', KEYS[i], ARGV[1])
end
return 1
