-- Looks into a job: which chunks are handed out with when they were heard of, which of them were
-- begun, and how many failed.
-- KEYS: status, done, outstanding, flight, failed
if redis.call('EXISTS', KEYS[1]) == 0 then
  return false
end
return {
  redis.call('ZRANGE', KEYS[3], 0, -1, 'WITHSCORES'),
  redis.call('HKEYS', KEYS[4]),
  redis.call('BITCOUNT', KEYS[5]),
}
