-- Hands out the lowest chunks that are planned, not done and not outstanding.
-- KEYS: status, done, outstanding, flight   ARGV: seconds to live, width, and microseconds after
-- which one that was begun, and one that was not, counts as outstanding no more
local job = redis.call('HMGET', KEYS[1], 'state', 'chunks', 'low')
if job[1] ~= 'accepted' and job[1] ~= 'exporting' then
  return {}
end
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
redis.call('EXPIRE', KEYS[1], ARGV[1]) -- first: see planned.lua
local sooner = math.min(tonumber(ARGV[3]), tonumber(ARGV[4]))
local suspects = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now - sooner, 'WITHSCORES')
for i = 1, #suspects, 2 do
  local begun = redis.call('HEXISTS', KEYS[4], suspects[i]) == 1
  if tonumber(suspects[i + 1]) <= now - (begun and ARGV[3] or ARGV[4]) then
    redis.call('ZREM', KEYS[3], suspects[i])
    redis.call('HDEL', KEYS[4], suspects[i])
  end
end
local held = redis.call('ZRANGE', KEYS[3], 0, -1)
local is_held = {}
for _, chunk in ipairs(held) do
  is_held[tonumber(chunk)] = true
end

-- The search starts at `low`, below which every chunk is done, and passes full bytes by string
-- search, so that its cost follows the width and not the number of chunks.
local chunks = tonumber(job[2])
local low = tonumber(job[3] or 0)
local room = ARGV[2] - #held
local taken = {}
local open
local block = math.floor(low / 8)
while #taken < room and block * 8 < chunks do
  local size = math.min(4096, math.ceil(chunks / 8) - block)
  local bytes = redis.call('GETRANGE', KEYS[2], block, block + size - 1)
  local i = 1
  while i <= size and #taken < room do
    if i <= #bytes then
      i = string.find(bytes, '[^\255]', i) or #bytes + 1
    end
    local byte = string.byte(bytes, i) or 0
    for bit = 0, 7 do
      local chunk = (block + i - 1) * 8 + bit
      local is_done = math.floor(byte / 2 ^ (7 - bit)) % 2 == 1
      if i <= size and chunk < chunks and not is_done then
        open = open or chunk
        if not is_held[chunk] and #taken < room then
          taken[#taken + 1] = chunk
        end
      end
    end
    i = i + 1
  end
  block = block + size
end

if open and open > low then
  redis.call('HSET', KEYS[1], 'low', open)
end
for _, chunk in ipairs(taken) do
  redis.call('ZADD', KEYS[3], now, chunk)
end
for i = 2, 4 do
  redis.call('EXPIRE', KEYS[i], ARGV[1])
end
return taken
