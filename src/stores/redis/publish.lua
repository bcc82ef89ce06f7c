-- ARGV: saga, TTL of the live key in seconds, and maybe the value.
if redis.call('EXISTS', fence) == 1 then return 'dead' end
local version = version_of(live)
if version == saga or is_newer(version, saga) then
  redis.call('DEL', stage)
  return version == saga and 'live' or 'newer'
end
if redis.call('EXISTS', stage) == 1 then
  redis.call('RENAME', stage, live)
  redis.call('EXPIRE', live, ARGV[2])
  return 'renamed'
end
if ARGV[3] then
  redis.call('SET', live, ARGV[3], 'EX', ARGV[2])
  return 'set'
end
-- The staging key has run out and nobody has the value: no cached document is better than an old one.
if version ~= '' then
  redis.call('DEL', live)
  return 'dropped'
end
return 'none'
