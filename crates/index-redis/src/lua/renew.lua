-- Holds a lease for longer, unless it has passed to another.
-- KEYS: lease   ARGV: epoch, milliseconds
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
