-- One call of a step. KEYS[1]: its barrier, a hash of state, n (commands that have run), replies, result.
-- ARGV: "do" or "undo", the barrier's life in seconds, the same of one whose undo has ended, "1" when the result is to
-- be kept, the longest result, how many commands, then each as its number of words and the words.
-- Answers with a word and a text behind a line break:
--   ok | known (the replies), blocked, none (nothing has run, an error), part (some have run, an error).
local key, kind, ttl, dead_ttl, keeps, max = KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local state = redis.call('HGET', key, 'state')

local function json(v)
	local t = type(v)
	if t == 'number' then return string.format('%.0f', v) end
	if t == 'boolean' then return v and 'true' or 'null' end
	if t == 'string' then return cjson.encode(v) end
	if v.ok then return cjson.encode(v.ok) end
	if v.double then return string.format('%.17g', v.double) end
	local parts = {}
	for i = 1, #v do parts[i] = json(v[i]) end
	return '[' .. table.concat(parts, ',') .. ']'
end

local function bounded(text)
	return #text <= max and '[' .. text .. ']' or 'null'
end

local function fault(reply)
	return type(reply) == 'table' and reply.err or nil
end

if kind == 'do' then
	if state == 'done' then return 'known\n' .. (redis.call('HGET', key, 'result') or '') end
	if state and state ~= 'doing' then return 'blocked\n' end
else
	if state == 'undone' or state == 'blocked' then return 'known\n' end
	if not state then
		local reply = redis.pcall('HSET', key, 'state', 'blocked')
		if fault(reply) then return 'none\n' .. reply.err end
		redis.call('EXPIRE', key, dead_ttl)
		return 'ok\n'
	end
end

local commands, at = {}, 7
for i = 1, tonumber(ARGV[6]) do
	local n = tonumber(ARGV[at])
	commands[i] = {unpack(ARGV, at + 1, at + n)}
	at = at + 1 + n
end

-- Rights first: what is refused here has changed nothing. (Redis 7 and later.)
if redis.acl_check_cmd then
	for i = 1, #commands do
		local is_known, may = pcall(redis.acl_check_cmd, unpack(commands[i]))
		if not is_known then return 'none\nERR this server has no ' .. commands[i][1] end
		if not may then
			return 'none\nNOPERM the user may not run command ' .. i .. ' (' .. commands[i][1] .. ')'
		end
	end
end

-- A call that was broken off goes on where it stood.
local going = kind == 'do' and 'doing' or 'undoing'
local ran, replies, before = 0, '', redis.call('HGET', key, 'n') or '0'
if state == going then
	ran = tonumber(before)
	replies = redis.call('HGET', key, 'replies') or ''
end
local began = redis.pcall('HSET', key, 'state', going, 'n', ran)
if fault(began) then return 'none\n' .. began.err end
redis.call('EXPIRE', key, ttl)

for i = ran + 1, #commands do
	local reply = redis.pcall(unpack(commands[i]))
	local err = fault(reply)
	if err then
		if i > 1 then
			redis.call('HSET', key, 'n', i - 1, 'replies', replies)
			return 'part\n' .. 'command ' .. i .. ' of ' .. #commands .. ' (' .. commands[i][1] .. '): ' .. err
		end
		if state then redis.call('HSET', key, 'state', state, 'n', before) else redis.call('DEL', key) end
		return 'none\n' .. err
	end
	if #replies <= max then replies = replies .. (i > 1 and ',' or '') .. json(reply) end
end

redis.call('DEL', key)
redis.call('HSET', key, 'state', kind == 'do' and 'done' or 'undone')
if keeps == '1' then redis.call('HSET', key, 'result', bounded(replies)) end
redis.call('EXPIRE', key, kind == 'do' and ttl or dead_ttl)
return 'ok\n' .. bounded(replies)
