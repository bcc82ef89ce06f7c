-- ARGV: saga, TTL of the fence in seconds.
-- A script is one step, so the order is free. DEL comes first because Redis lets a script that has written go on above
-- maxmemory (scriptVerifyOOM() in script.c of Redis 7): a full Redis can still be cleaned up, fence included.
redis.call('DEL', stage)
local was_live = version_of(live) == saga
if was_live then redis.call('DEL', live) end
redis.call('SET', fence, '1', 'EX', ARGV[2])
return was_live and 'removed' or 'fenced'
