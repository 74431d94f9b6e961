-- Uses a name for the first time, or says that another did. Who asks again hears the same.
-- KEYS: use   ARGV: by, milliseconds
local used = redis.call('GET', KEYS[1])
if not used then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
  return 1
end
if used == ARGV[1] then
  return 1
end
return 0
