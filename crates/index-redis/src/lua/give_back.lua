-- Gives a lease or a claim back, unless it has passed to another.
-- KEYS: lease or claim   ARGV: epoch or job
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
return redis.call('DEL', KEYS[1])
