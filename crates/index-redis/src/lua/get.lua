-- Looks a job up: its fields, and what is counted rather than kept.
-- KEYS: status, done, outstanding, flight   ARGV: field...
local fields = redis.call('HMGET', KEYS[1], unpack(ARGV))
if not fields[1] then
  return false
end
return {
  fields,
  redis.call('BITCOUNT', KEYS[2]),
  redis.call('ZCARD', KEYS[3]),
  redis.call('HVALS', KEYS[4]),
}
