-- Takes a free lease; its value is its epoch.
-- KEYS: lease, epoch   ARGV: milliseconds
if redis.call('EXISTS', KEYS[1]) == 1 then
  return false
end
-- PERSIST changes nothing here; a full Redis never refuses it, and then not what follows, so that
-- running jobs complete (E7).
redis.call('PERSIST', KEYS[2])
-- The time keeps epochs growing when the last one was lost with everything else.
local time = redis.call('TIME')
local last = tonumber(redis.call('GET', KEYS[2]) or 0)
local epoch = string.format('%.0f', math.max(last + 1, time[1] * 1000000 + time[2]))
redis.call('SET', KEYS[2], epoch)
redis.call('SET', KEYS[1], epoch, 'PX', ARGV[1])
return epoch
