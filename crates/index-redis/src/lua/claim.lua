-- Takes a name for a job, or says which other job has it. Repeats do not prolong it.
-- KEYS: claim   ARGV: job, milliseconds
local holder = redis.call('GET', KEYS[1])
if not holder then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
  return false
end
if holder == ARGV[1] then
  return false
end
return holder
