-- Adds a job unless it is known.
-- KEYS: status, done, outstanding, flight, failed   ARGV: seconds to live, field, value...
if redis.call('EXISTS', KEYS[1]) == 1 then
  return 0
end
-- HSET comes first: a full Redis refuses it, so that no new job starts then (E7).
redis.call('HSET', KEYS[1], unpack(ARGV, 2))
redis.call('EXPIRE', KEYS[1], ARGV[1])
-- What an expired job of the same name left must not count for this one.
redis.call('DEL', KEYS[2], KEYS[3], KEYS[4], KEYS[5])
return 1
