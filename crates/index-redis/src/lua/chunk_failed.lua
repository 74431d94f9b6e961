-- Notes that a chunk ended without being exported.
-- KEYS: status, done, outstanding, flight, failed   ARGV: seconds to live, chunk
if redis.call('EXISTS', KEYS[1]) == 0 then
  return 0
end
redis.call('SETBIT', KEYS[5], ARGV[2], 1)
redis.call('EXPIRE', KEYS[5], ARGV[1])
return 1
