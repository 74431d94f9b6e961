-- Takes a name for a job, or says which other job has it. A job that has it keeps it for longer.
-- KEYS: claim   ARGV: job, milliseconds
local holder = redis.call('GET', KEYS[1])
if not holder then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
  return false
end
if holder == ARGV[1] then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  return false
end
return holder
