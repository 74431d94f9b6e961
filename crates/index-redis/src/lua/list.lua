-- Lists a job with the time, so that unlist.lua can tell a job being inserted from a leftover.
-- KEYS: jobs   ARGV: job
local time = redis.call('TIME')
redis.call('ZADD', KEYS[1], time[1] * 1000000 + time[2], ARGV[1])
return 1
