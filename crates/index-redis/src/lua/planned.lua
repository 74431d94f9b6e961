-- Records planning progress; it never goes back.
-- KEYS: status, done, outstanding, flight   ARGV: seconds to live, chunks, resources, bytes, sealed
local known = redis.call('HMGET', KEYS[1], 'state', 'chunks', 'sealed')
if not known[1] then
  return 0
end
local sealed = ARGV[5] == '1' or known[3] == '1'
-- EXPIRE comes first: once a script has written, a full Redis lets it go on, and it never
-- refuses EXPIRE. So running jobs complete while no new ones start (E7).
redis.call('EXPIRE', KEYS[1], ARGV[1])
if tonumber(ARGV[2]) > tonumber(known[2]) or (sealed and known[3] ~= '1') then
  redis.call('HSET', KEYS[1], 'chunks', ARGV[2], 'expected_resources', ARGV[3],
    'expected_bytes', ARGV[4], 'sealed', sealed and '1' or '0')
end
if sealed and known[1] == 'accepted' then
  redis.call('HSET', KEYS[1], 'state', 'exporting')
end
for i = 2, 4 do
  redis.call('EXPIRE', KEYS[i], ARGV[1])
end
return 1
