-- Marks a chunk done, once. The bits are the count; only the tally is added up, behind its bit.
-- KEYS: status, done, outstanding, flight   ARGV: seconds to live, chunk, resources, bytes
local job = redis.call('HMGET', KEYS[1], 'state', 'chunks', 'sealed', 'done')
if not job[1] then
  return { 0, 0 }
end
redis.call('EXPIRE', KEYS[1], ARGV[1]) -- first: see planned.lua
redis.call('ZREM', KEYS[3], ARGV[2])
redis.call('HDEL', KEYS[4], ARGV[2])
local first = redis.call('SETBIT', KEYS[2], ARGV[2], 1) == 0
if first then
  redis.call('HINCRBY', KEYS[1], 'resources', ARGV[3])
  redis.call('HINCRBY', KEYS[1], 'bytes', ARGV[4])
end
for i = 2, 4 do
  redis.call('EXPIRE', KEYS[i], ARGV[1])
end
local done = job[4] + redis.call('BITCOUNT', KEYS[2])
local settled = job[3] == '1' and done >= tonumber(job[2])
return { first and 1 or 0, settled and 1 or 0 }
