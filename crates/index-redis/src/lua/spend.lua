-- The generic cell rate algorithm: the time at which a budget is full again says everything.
-- KEYS: budget   ARGV: microseconds that earn one, microseconds of slack
-- Returns how many microseconds to wait first, or 0.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local every = tonumber(ARGV[1])
local slack = tonumber(ARGV[2])
local full_at = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now)
-- Further ahead it can only be after the clock was set back: nobody waits for that (E10).
local debt = math.min(full_at - now, slack + every)
if debt > slack then
  return debt - slack
end
local later = debt + every
redis.call('SET', KEYS[1], string.format('%.0f', now + later), 'PX', math.ceil(later / 1000))
return 0
