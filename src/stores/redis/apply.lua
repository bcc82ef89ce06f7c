-- ARGV: saga, value, TTL of the staging key in seconds.
-- The fence first: a barrier that is looked at after anything else is none.
if redis.call('EXISTS', fence) == 1 then return 'dead' end
if version_of(live) == saga then return 'live' end
redis.call('SET', stage, ARGV[2], 'EX', ARGV[3])
return 'staged'
