-- Takes jobs off the list whose keys are gone, but none listed a moment ago: that one is being
-- inserted by another process right now.
-- KEYS: jobs   ARGV: microseconds of grace, job...
local time = redis.call('TIME')
local before = time[1] * 1000000 + time[2] - ARGV[1]
local gone = 0
for i = 2, #ARGV do
  local listed = redis.call('ZSCORE', KEYS[1], ARGV[i])
  if listed and tonumber(listed) < before then
    gone = gone + redis.call('ZREM', KEYS[1], ARGV[i])
  end
end
return gone
